"""Containers in every storage form: small, grown, shrunken, emptied, with deleted entries."""
import array
import collections
import sys
import types
import weakref

import ready


class List(list):
    pass


class Tuple(tuple):
    pass


class Dict(dict):
    pass


class Slots(dict):
    __slots__ = ('extra',)


class Set(set):
    pass


class Frozen(frozenset):
    pass


class Key:
    """A key that is no string, hashed by Python code."""

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return self.number % 7

    def __eq__(self, other):
        return self.number == other.number


class Text(str):
    pass


Point = collections.namedtuple('Point', 'x y z')
Wide = collections.namedtuple('Wide', ['field%d' % number for number in range(40)],
                              **({'defaults': [None] * 40} if sys.version_info >= (3, 7) else {}))

lists = [list(range(1000, 1000 + length)) for length in range(0, 300, 17)]
appended = []
for number in range(1000):
    appended.append(object())
popped = list(range(5000, 6000))
while len(popped) > 3:
    popped.pop()
cleared = [1, 2, 3]
cleared.clear()
nested = [[[[[[]]]]]]
itself = []
itself.append(itself)
lists += [List([1, [2]]), List(), [None] * 10000]
lists[-2].attribute = [3]

tuples = [tuple(range(2000, 2000 + length)) for length in range(30)] + [Tuple((1, [2])), Tuple(), Point(1, [2], 'z'), Wide(*[None] * 40)]
tuples[-4].attribute = {}
loop = ([],)
loop[0].append(loop)

dicts = [{number: str(number) for number in range(length)} for length in range(0, 200, 7)]
dicts += [{'key %d' % number: [number] for number in range(length)} for length in (0, 1, 5, 6, 10, 11, 85, 86, 100, 1000)]
dicts += [dict.fromkeys(range(n)) for n in (5, 6, 10, 11, 22)]
general = {'text': 1, 2: 'number', (3, 4): 'tuple', None: 'none', Key(1): 'object', Key(8): 'same hash', Text('sub'): 'subclass'}
shrunken = {number: object() for number in range(1000)}
for number in range(900):
    del shrunken[number]
holes = {'hole %d' % number: number for number in range(100)}
for number in range(0, 100, 2):
    del holes['hole %d' % number]
holes['after'] = holes
# A table with indices of 32 bits. Most of what it had is gone: so many objects would only cost the comparison its time.
wide_table = {'key %d' % number: [number] for number in range(70000)}
for number in range(70000):
    if number % 100:
        del wide_table['key %d' % number]
emptied = {'gone': 1}
del emptied['gone']
wiped = {1: 2, 'three': 4}
wiped.clear()
became_general = {'name %d' % number: number for number in range(20)}
became_general[5] = 'five'
looked_up = {'only': 'strings'}
looked_up.get(5)
copies = [shrunken.copy(), holes.copy(), dict(general), {**holes}]
popitems = {number: number for number in range(50)}
for number in range(45):
    popitems.popitem()
dict_subclasses = [Dict(a=1), Dict(), Slots(b=2)]
dict_subclasses[0].attribute = ['on a dict']
dict_subclasses[2].extra = ['in a slot']

sets = [set(range(length)) for length in (0, 1, 4, 5, 6, 19, 100, 1000)]
sets += [frozenset(map(str, range(length))) for length in (0, 1, 4, 5, 100)] + [Set([1, 'a']), Frozen(['x'])]
sets[-2].attribute = 1
discarded = set(range(100))
for number in range(90):
    discarded.discard(number)
hashed = {Key(number) for number in range(20)}

deques = [collections.deque(range(3000, 3000 + length)) for length in (0, 1, 62, 63, 64, 65, 128, 1000)]
deques.append(collections.deque(range(4000, 4100), maxlen=10))
rotated = collections.deque([object()] * 1000)
for number in range(500):
    rotated.popleft()
rotated.rotate(13)
for number in range(70):
    rotated.appendleft([number])

ordered = [collections.OrderedDict((str(number), [number]) for number in range(length)) for length in (0, 1, 5, 100)]
ordered[-1].attribute = 'of an ordered dict'
ordered[2].move_to_end('1')
del ordered[2]['3']
subclassed = type('Ordered', (collections.OrderedDict,), {})(a=1, b=[2])
# Releases differ in what these visit and in how large they are.
watchers = [weakref.ref(ordered[0]), weakref.ref(ordered[1], print), weakref.ref(subclassed)]
emptied = collections.OrderedDict((str(number), [number]) for number in range(100))
emptied.clear()
made_by_update = collections.OrderedDict()
made_by_update.update((str(number), [number]) for number in range(100))
default = collections.defaultdict(list)
for number in range(30):
    default[number % 7].append(number)
default_of_none = collections.defaultdict(None, {'x': 1})
counter = collections.Counter('a long enough text to count letters in')
chain = collections.ChainMap({'a': 1}, {}, {'b': [2]})
wrapped = [collections.UserDict(a=1), collections.UserList([1, 2]), collections.UserString('text')]

views = [general.keys(), general.values(), general.items(), types.MappingProxyType(general), memoryview(b'abc'),
         memoryview(bytearray(10))[1:5], memoryview(array.array('i', range(100))), memoryview(b'x' * 12).cast('B', [3, 4]),
         slice(1, [2]), range(5), range(10 ** 20), range(3, 10 ** 20, 7), types.SimpleNamespace(a=1, b=[2])]
arrays = [array.array('d', range(100)), array.array('b'), array.array('i', [1])]
arrays[-1].append(2)

ready.wait()
