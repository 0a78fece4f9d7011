"""Iterators: each itertools and builtin iterator, fresh, half used and used up."""
import collections
import itertools
import re
import sys

import ready


def makers():
    """One function a kind of iterator, so that each can be made three times."""
    yield from (
        lambda: iter([[1], [2], [3]]),
        lambda: iter(([1], [2], [3])),
        lambda: iter({'a': [1], 'b': 2}),
        lambda: iter({'a': [1], 'b': 2}.values()),
        lambda: iter({'a': [1], 'b': 2}.items()),
        lambda: reversed({'a': [1], 'b': 2} if sys.version_info >= (3, 8) else [[1], 2]),
        lambda: iter({'x', 'y'}),
        lambda: iter('text'),
        lambda: iter('t\xe9xt'),
        lambda: iter(b'bytes'),
        lambda: iter(bytearray(b'bytes')),
        lambda: iter(memoryview(b'bytes')),
        lambda: iter(range(5)),
        lambda: iter(range(10 ** 30, 10 ** 30 + 5)),
        lambda: reversed([[1], [2]]),
        lambda: reversed(([1], [2])),
        lambda: reversed(range(5)),
        lambda: iter(collections.deque([[1], [2]])),
        lambda: reversed(collections.deque([[1], [2]])),
        lambda: iter(collections.OrderedDict(a=[1], b=2)),
        lambda: enumerate([[1], [2]], 10 ** 30),
        lambda: zip([[1], [2]], ['a', 'b']),
        lambda: map(lambda x, y: [x, y], [1, 2], [3, 4]),
        lambda: filter(None, [[], [1]]),
        lambda: iter([[1], None].pop, None),
        lambda: iter(Indexed()),
        lambda: itertools.count(5),
        lambda: itertools.count(10 ** 20, 2),
        lambda: itertools.count(1.5),
        lambda: itertools.cycle([[1], [2]]),
        lambda: itertools.repeat(['repeated']),
        lambda: itertools.repeat(['repeated'], 5),
        lambda: itertools.accumulate([[1], [2], [3]]),
        lambda: itertools.accumulate([1, 2, 3], **({'initial': 1000} if sys.version_info >= (3, 8) else {})),
        lambda: itertools.chain([[1]], [[2]]),
        lambda: itertools.chain.from_iterable([[[1]], [[2]]]),
        lambda: itertools.compress([[1], [2]], [1, 1]),
        lambda: itertools.dropwhile(lambda x: not x, [[], [1], [2]]),
        lambda: itertools.takewhile(lambda x: x, [[1], [2]]),
        lambda: itertools.filterfalse(None, [[], [1]]),
        lambda: itertools.groupby([[1], [1], [2]], key=len),
        lambda: itertools.islice([[1], [2], [3]], 1, 3),
        lambda: itertools.starmap(divmod, [(7, 2), (9, 4)]),
        lambda: itertools.tee([[1], [2], [3]])[0],
        lambda: itertools.zip_longest([[1]], [[2], [3]], fillvalue=['fill']),
        lambda: itertools.product([[1], [2]], 'ab', repeat=2),
        lambda: itertools.permutations([[1], [2], [3]], 2),
        lambda: itertools.combinations([[1], [2], [3]], 2),
        lambda: itertools.combinations_with_replacement([[1], [2]], 3),
        lambda: re.finditer('t', 'text to test'),
        lambda: (number for number in [[1], [2]]),
    )
    if sys.version_info >= (3, 10):
        yield lambda: itertools.pairwise([[1], [2], [3]])
    if sys.version_info >= (3, 12):
        yield lambda: itertools.batched([[1], [2], [3]], 2)


class Indexed:
    """Iterated by index."""

    def __getitem__(self, index):
        if index > 3:
            raise IndexError(index)
        return [index]


def used(iterator):
    next(iterator, None)
    return iterator


def exhausted(iterator):
    for _ in itertools.islice(iterator, 100):
        pass
    return iterator


fresh = [maker() for maker in makers()]
half = [used(maker()) for maker in makers()]
done = [exhausted(maker()) for maker in makers()]
first, second = itertools.tee(iter([[number] for number in range(200)]))
third = second.__copy__()
for number in range(120):
    next(first)
for number in range(30):
    next(third)
groups = itertools.groupby([[1], [1], [2]])
key, group = next(groups)
next(group)
changed = {'a': 1}
over_changed = iter(changed)
changed['b'] = 2
catch = []
try:
    next(over_changed)
except RuntimeError as error:
    catch.append(error)

ready.wait()
