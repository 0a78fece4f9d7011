"""Keeps a secret in every kind of string, in two threads, and waits."""
import os
import signal
import threading

# Never whole in the source, so that no code object has it.
SECRET = ''.join(['TOP', 'SEC', 'RET'])


class Text(str):
    """A string of its own class."""


class Data(bytearray):
    """A buffer of its own class."""


kept = {
    'ascii': SECRET + ' plain',
    'latin': SECRET + ' \xe9',
    'wide': SECRET + ' \u20ac',
    'large': (SECRET + ' ') * 1000,
    'subclass': Text(SECRET + ' subclass'),
    'bytes': SECRET.encode() + b' bytes',
    'bytearray': bytearray(SECRET.encode() + b' bytearray'),
    'data': Data(SECRET.encode() + b' data'),
    'cut': bytearray(b'12345678' + SECRET.encode()),
    SECRET + ' key': None,
    SECRET.encode() + b' key': None,
}
del kept['cut'][:8]
kept['latin'].encode()
freed = [SECRET + ' freed %d' % index for index in range(20000)]  # whole pools of them
del freed


# As long as a block of the allocator can have: what it frees of more is not looked for.
TEXT = (SECRET + ' ') * 44


def leave(size):
    """Leaves texts in free blocks of so many bytes, in pools that stay in use."""
    texts = [TEXT[index % 10:][:size - 50] for index in range(200)]
    return texts[::10]


def read_short(size):
    """A bytes object that was shrunk in its block: behind it is the text that was there before."""
    reader, writer = os.pipe()
    os.write(writer, b'.' * (size - 64))
    os.close(writer)
    freed = TEXT[:size - 50]
    del freed
    data = os.read(reader, size - 40)
    os.close(reader)
    return data


def grow():
    """A list of 41 items with room for 52: that is where the text was."""
    items = [None] * 40
    freed = TEXT[:52 * 8 - 50]
    del freed
    items.append(None)
    return items


def steps(size):
    """Has room for many values on its stack and uses little of it; up to 3.10 also for blocks."""
    yield size
    yield [size, [size, [size, [size, [size, [size, [size, [size, [size, [size, [size, [size]]]]]]]]]]]]


shrunk = [read_short(size) for size in range(128, 449, 16)]
grown = [grow() for _ in range(10)]
pools = [leave(size) for size in range(160, 481, 16)]
started = [steps(index) for index in range(400)]
for generator in started:
    next(generator)


class Keeper(object):
    """Has its secret in an attribute."""

    def __init__(self):
        self.attribute = SECRET + ' attribute'


keepers = [Keeper() for _ in range(3)]


def hold_secrets(local):
    """Waits with a secret in a local variable."""
    while True:
        signal.pause()


threading.Thread(target=threading.Event().wait, daemon=True).start()
print('READY', os.getpid(), flush=True)
hold_secrets(SECRET + ' local')
