"""Threads at work: deep recursion, generators, exceptions, queues, cycles for the collector."""
import queue
import random
import sys
import threading

import answering

JOBS = queue.Queue(maxsize=50)
DONE = {}
sys.setrecursionlimit(3000)


class Tree:
    def __init__(self, depth, parent=None):
        self.parent = parent
        self.value = random.random()
        self.children = [Tree(depth - 1, self) for _ in range(2)] if depth else []

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()


def deep(depth, trail=None):
    local = {'depth': depth, 'trail': trail}
    if depth:
        return deep(depth - 1, local)
    return sum(node.value for node in Tree(6).walk())


def attempt(depth):
    try:
        if depth == 0:
            raise ValueError('at the bottom', list(range(10)))
        attempt(depth - 1)
    except ValueError as error:
        raise RuntimeError(depth) from error


def work():
    while True:
        number = JOBS.get()
        DONE[number % 1000] = [deep(random.randrange(50, 700)), number]
        try:
            attempt(10)
        except RuntimeError as error:
            DONE['error', number % 10] = error


def feed():
    number = 0
    while True:
        number += 1
        JOBS.put(number)


for target in (work, work, work, feed):
    threading.Thread(target=target, daemon=True).start()
answering.ready()
threading.Event().wait()
