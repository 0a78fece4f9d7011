"""An interpreter that has imported nothing, with an object or two of every layout it is born with: the smallest
heap to damage by the hundred thousand."""
import sys
import _collections
import _functools
import _io
import _thread
import _weakref
import itertools

keep = []


class Plain:
    def __init__(self, number):
        self.number = number
        self.name = 'name %d' % number


class Slotted:
    __slots__ = ('one', 'two', '__weakref__')

    def __init__(self):
        self.one = self.two = [self]


class Integer(int):
    pass


class Text(str):
    pass


class Sequence(tuple):
    pass


class Mapping(dict):
    pass


def generate(number):
    while True:
        yield number


async def wait(number):
    return number


def deep(number, lock):
    if number:
        return deep(number - 1, lock)
    keep.append(sys._getframe())
    lock.acquire()


keep += [Plain(number) for number in range(20)]
keep += [Slotted(), Integer(5), Integer(1 << 200), Text('text'), Sequence((1, 2)), Mapping(key='value')]
keep[0].__dict__['extra'] = vars(keep[1])
keep += [[], list(range(1000, 1300)), (), (1, 2, 3), {}, {number: str(number) for number in range(100)}]
keep += [{'key %d' % number: number for number in range(100)}, set(), set(range(5)), set(range(1000, 1100)), frozenset('abc')]
keep += [_collections.OrderedDict((number, [number]) for number in range(20)), _collections.deque(range(200))]
keep += [_collections.defaultdict(list, key=[1]), sys.version_info, range(5), slice(1, 2, 3), iter([1]), iter({1: 2})]
keep += ['ascii', 'caf\xe9', '\u20ac' * 20, '\U0001f600' * 20, b'bytes' * 200, bytearray(b'bytes' * 200), 1 << 3000, 1.5, 2j]
keep += [_io.BytesIO(b'x' * 1000), _io.StringIO('text'), _io.BufferedReader(_io.BytesIO(b'y' * 50)), memoryview(b'view')]
keep += [itertools.product('ab', 'cd'), itertools.permutations('abc'), itertools.combinations('abcd', 2), itertools.count(1)]
started = generate(0)
next(started)
keep += [started, itertools.tee(iter('abc')), generate(1), generate(2), wait(1), _functools.partial(generate, 3)]
keep += [_functools.cmp_to_key(lambda one, other: one - other)(5)]
keep += [_functools._lru_cache_wrapper(lambda number: [number], None, False, sys.version_info)]
keep[-1](5)
keep += [_weakref.ref(keep[0]), _weakref.proxy(keep[1]), property(generate), classmethod(generate), staticmethod(generate)]
keep += [zip([1], [2]), map(str, [1]), filter(None, [1]), enumerate([1]), reversed([1]), keep[0].__init__, [].append]
for depth in (1, 12):
    lock = _thread.allocate_lock()
    lock.acquire()
    keep.append(lock)
    _thread.start_new_thread(deep, (depth, lock))
while sum(type(item).__name__ == 'frame' for item in keep) < 2:
    pass
print('READY', flush=True)
sys.stdin.read()
