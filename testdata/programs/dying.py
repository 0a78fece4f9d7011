"""Dies on SIGUSR1, in the way named by its argument, with the heap in disorder."""
import ctypes
import gc
import os
import resource
import signal
import sys


class Node(object):
    """Something that the collector tracks."""

    def __init__(self, other):
        self.other = other


WORD = ctypes.sizeof(ctypes.c_size_t)
TYPE = object.__basicsize__ - WORD
# Bytes of a collector's head, which is before the object: two words from 3.8 on.
HEAD = max(2 * WORD, sys.getsizeof([]) - [].__sizeof__())
nodes = [Node(None) for _ in range(20000)]
for index, node in enumerate(nodes):
    node.other = nodes[index - 1]
names = ['name %d' % index for index in range(20000)]
victims = [[index] for index in range(2000)]


def write(address, value):
    ctypes.c_size_t.from_address(address).value = value


def collector():
    """The type of an object is gone when the collector comes to it, its lists half taken apart."""
    write(id(victims[1000]) + TYPE, 0xdead0000beef)
    gc.collect()


def allocator():
    """A list of free blocks leads nowhere."""
    block = bytes(333)
    address = id(block)
    del block
    write(address, 0x4141414141414141)
    kept = [bytes(333) for _ in range(1000)]
    raise SystemExit('%d blocks, and still alive' % len(kept))


def overwritten():
    """A page of objects is full of letters."""
    ctypes.memset(id(nodes[10000]) & ~0xfff, 0x41, 4096)
    os.abort()


def lists():
    """The collector's list leads in a circle, and half of it cannot be reached."""
    head = id(nodes[15000]) - HEAD
    write(head, head)
    write(head + WORD, head)
    os.abort()


def die(number, frame):
    globals()[sys.argv[1]]()


gc.collect()
gc.disable()
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
signal.signal(signal.SIGUSR1, die)
print('READY', os.getpid(), flush=True)
while True:
    signal.pause()
