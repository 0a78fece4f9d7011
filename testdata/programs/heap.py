"""A heap of about N mixed objects, for measurements.

    heap.py N [--aged] [--threads T] [--mutate]

Builds it, prints `READY <pid>`, then runs the tools of heap_tools.py that it is told on standard input, one
name a line, and answers each with a line of JSON.

--aged      replace records at random, twice as often as there are records, so that neighbours in memory are
            no neighbours in the graph
--threads   so many threads besides the main one: asleep, or
--mutate    replacing records at random, RATE a second in all

If HEARTBEAT_FILE is set (see heartbeat.c), a thread notes there how long Python stood still, too.

One record is 20 objects: a dict with a str, a float and an int of its own, a list, a tuple, an
instance with attributes, an instance with slots, and text, numbers and bytes among them.
"""
import argparse
import gc
import json
import mmap
import os
import random
import signal
import sys
import threading
import time

PER_RECORD = 20
PARTS = 9                       # of the objects of a record, so many are in the list of all
NODE = 3                        # the place of the instance among them
RATE = 10000                    # records that mutating threads replace in a second
BEAT = 0.001
PYTHON_BEAT = 8                 # where Python's part of the heartbeat begins, in words of 8 bytes


class Node:
    def __init__(self, name, value, previous):
        self.name = name
        self.value = value
        self.previous = previous


class Slotted:
    __slots__ = ('weight', 'items')

    def __init__(self, weight, items):
        self.weight = weight
        self.items = items


def record(number, last_pair, last_node):
    key = number * 16 + 100000
    items = [key + 1, key + 2, 'item %d' % number, last_pair]
    return ({'name': 'record %d' % number, 'weight': number * 0.5 + 0.25, 'id': key}, items,
            ('pair %d' % number, number + 0.125), Node('node %d' % number, key + 3, last_node),
            Slotted(number + 0.0625, items), 'text %d' % number, key + 4, number + 0.5, b'bytes %d' % number)


def build(count):
    gc.disable()
    records = []
    last_pair = last_node = None
    for number in range(max(1, count // PER_RECORD)):
        parts = record(number, last_pair, last_node)
        records += parts
        last_pair = parts[2]
        last_node = parts[NODE] if number % 1000 else None  # so that freeing does not recurse deeply
    gc.enable()
    return records


def replace(records, choose):
    """Puts new objects into the place of a record's."""
    at = choose(len(records) // PARTS) * PARTS
    old = records[at + NODE]
    parts = record(at // PARTS, records[at + 1][3], old.previous)
    records[at:at + PARTS] = parts
    after = at + PARTS
    if after < len(records):
        # What refers to the old record refers to the new one, so that the old one is freed.
        records[after + 1][3] = parts[2]
        if records[after + NODE].previous is old:
            records[after + NODE].previous = parts[NODE]


def age(records):
    gc.disable()
    choose = random.Random(1).randrange
    for _ in range(2 * (len(records) // PARTS)):
        replace(records, choose)
    gc.enable()


def mutate(records, seed, threads):
    """Replaces records at this thread's share of the rate."""
    choose = random.Random(seed).randrange
    period = 0.01
    share = RATE * period / threads
    due = 0.0
    while True:
        time.sleep(period)
        due += share
        while due >= 1:
            replace(records, choose)
            due -= 1


def beat(path):
    """Notes the longest time that a thread of Python did not come to its turn."""
    with open(path, 'r+b') as file:
        words = memoryview(mmap.mmap(file.fileno(), 0)).cast('Q')
    last = time.monotonic_ns()
    while True:
        time.sleep(BEAT)
        now = time.monotonic_ns()
        gap = max(0, now - last - int(BEAT * 1e9))
        last = now
        if words[PYTHON_BEAT]:
            words[PYTHON_BEAT + 1] = words[PYTHON_BEAT] = 0
        elif gap > words[PYTHON_BEAT + 1]:
            words[PYTHON_BEAT + 1] = gap


def start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


parser = argparse.ArgumentParser()
parser.add_argument('objects', type=int)
parser.add_argument('--aged', action='store_true')
parser.add_argument('--mutate', action='store_true')
parser.add_argument('--threads', type=int, default=0)
options = parser.parse_args()

threading.stack_size(256 * 1024)
if 'HEARTBEAT_FILE' in os.environ:
    start(beat, os.environ['HEARTBEAT_FILE'])
kept = build(options.objects)
if options.aged:
    age(kept)
for number in range(options.threads):
    if options.mutate:
        start(mutate, kept, number, options.threads)
    else:
        start(threading.Event().wait)
print('READY', os.getpid(), flush=True)
for line in sys.stdin:
    import heap_tools
    print(json.dumps(heap_tools.measure(line.strip())), flush=True)
while True:
    signal.pause()
