"""Threads that made objects and ended, and threads that still hold and free each other's objects.

Without a global lock what an ended thread made stays in memory that belongs to no thread, and what another
thread freed waits for its owner.
"""
import collections
import threading
import time

import ready

ENDED = 6
LIVING = 3
GO = threading.Barrier(LIVING + 1)
STAY = threading.Event()


class Node:
    def __init__(self, number, payload):
        self.number = number
        self.payload = payload


class Slim:
    __slots__ = ('left', 'right')

    def __init__(self, left, right):
        self.left = left
        self.right = right


kept = collections.defaultdict(list)
passed_on = []


def make(name):
    """Objects of all sizes: with and without collector, with values inside, larger than a page."""
    rows = []
    for number in range(400):
        rows.append(Node(number, [float(number), str(number) * 3, (number, name)]))
        rows.append(Slim(number * 10 ** 20, {'key %d' % number: number}))
        rows.append(bytes(number * 7))
    rows.append((None,) * 50_000)
    rows.append(b'x' * 300_000)
    rows.append(type('Made%d' % len(kept), (Node,), {'method': lambda self: name}))
    return rows


def end(name):
    rows = make(name)
    # Half of it is freed by the thread that made it, a quarter later by another one.
    kept[name] = rows[::2]
    passed_on.append(rows[1::4])


def live(name):
    mine = make(name)
    while passed_on:
        try:
            passed_on.pop()
        except IndexError:
            break
    shared = kept[name] = mine[::3]
    GO.wait()
    STAY.wait()
    return mine, shared


for number in range(ENDED):
    thread = threading.Thread(target=end, args=('ended %d' % number,))
    thread.start()
    thread.join()
threads = [threading.Thread(target=live, args=('living %d' % number,), daemon=True) for number in range(LIVING)]
for thread in threads:
    thread.start()
GO.wait()
time.sleep(0.5)         # a thread that runs while its process forks would never stand still
huge = ready.named((None,) * 3_000_000)        # a segment of its own
del kept['ended 0'], kept['ended 3'][::2]

ready.wait()
