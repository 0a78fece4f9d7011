"""numpy and pandas at work: arrays, views, object arrays, data frames made and dropped."""
import numpy
import pandas

import answering


def step(number):
    values = numpy.arange(1000 + number % 100, dtype='float64')
    frame = pandas.DataFrame({
        'key': ['key %d' % (value % 10) for value in range(len(values))],
        'value': values,
        'when': pandas.date_range('2020-01-01', periods=len(values), freq='min'),
        'kind': pandas.Categorical(['a', 'b'] * (len(values) // 2) + ['a'] * (len(values) % 2)),
    })
    frame.loc[5:7, 'value'] = None
    grouped = frame.groupby('key')['value'].agg(['mean', 'sum'])
    objects = numpy.array([[number], {'number': number}, None, 'text'], dtype=object)
    views = [values[::2], values.reshape(-1, 1).T, objects[1:]]
    merged = frame.merge(grouped, left_on='key', right_index=True)
    return frame, grouped, objects, views, merged.describe()


kept = [step(number) for number in range(5)]
answering.ready()
number = 0
while True:
    number += 1
    kept[number % 5] = step(number)
