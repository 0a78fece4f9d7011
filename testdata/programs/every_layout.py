"""A few objects of every layout that heapattach has code for, in a small heap: material for damage."""
import asyncio
import collections
import datetime
import functools
import io
import itertools
import pickle
import sys
import threading
import time

try:
    import array
    import ctypes
    import decimal
    import struct
    import xml.etree.ElementTree
except ImportError:
    array = ctypes = decimal = struct = xml = None

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


Named = collections.namedtuple('Named', 'left right')


@functools.lru_cache(maxsize=None)
def cached(number):
    return [number]


def generate(number):
    while True:
        yield number


def deep(number):
    if number:
        return deep(number - 1)
    keep.append(sys._getframe())
    wait(threading.Event())


def wait(event):
    event.wait()


keep += [Plain(number) for number in range(50)]
keep += [Slotted(), Integer(5), Integer(1 << 200), Text('text'), Sequence((1, 2)), Mapping(key='value')]
keep[0].__dict__['extra'] = vars(keep[1])
keep += [[], list(range(1000, 3000)), (), (1, 2, 3), {}, {number: str(number) for number in range(300)}]
keep += [{'key %d' % number: number for number in range(300)}, set(), set(range(5)), set(range(1000, 1500)), frozenset('abc')]
keep += [collections.OrderedDict((number, [number]) for number in range(100)), collections.deque(range(500))]
keep += [collections.defaultdict(list, key=[1]), collections.Counter('abcabc'), Named(1, 2), sys.version_info, time.localtime()]
keep += ['ascii', 'caf\xe9', '\u20ac' * 20, '\U0001f600' * 20, b'bytes' * 200, bytearray(b'bytes' * 200), 1 << 3000, 1.5, 2j]
keep += [datetime.datetime.now(datetime.timezone.utc), datetime.time(1, 2), datetime.date(2020, 1, 1)]
keep += [io.BytesIO(b'x' * 1000), io.StringIO('text'), io.BufferedReader(io.BytesIO(b'y' * 50)), memoryview(b'view')]
keep += [itertools.product('ab', 'cd'), itertools.permutations('abc'), itertools.combinations('abcd', 2)]
keep += [itertools.tee(iter('abc')), generate(1), generate(2), pickle.Pickler(io.BytesIO()), pickle.Unpickler(io.BytesIO(b''))]
next(keep[-3])
next(keep[-4])
keep[-2].dump([[number] for number in range(100)])
for number in range(100):
    cached(number)
if ctypes:
    class Point(ctypes.Structure):
        _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_double)]

    keep += [Point(), (ctypes.c_int * 5)(), ctypes.pointer(Point()), ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)]
    keep += [array.array('d', range(100)), decimal.Decimal('1.5'), decimal.Decimal('1' * 200), struct.Struct('iidd')]
    keep.append(xml.etree.ElementTree.fromstring('<a k="v"><b>text</b>tail<c/><d/><e/><f/><g/></a>'))
loop = asyncio.new_event_loop()
task = loop.create_task(asyncio.sleep(1000))
loop.run_until_complete(asyncio.sleep(0))

threads = [threading.Thread(target=deep, args=(depth,), daemon=True) for depth in (1, 20)]
for thread in threads:
    thread.start()
while len(keep) and sum(type(item).__name__ == 'frame' for item in keep) < len(threads):
    time.sleep(0.01)
print('READY', flush=True)
sys.stdin.read()
