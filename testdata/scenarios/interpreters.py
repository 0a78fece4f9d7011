"""A second interpreter in the process, with its own modules and objects."""
import sys

import ready

CODE = '''
import collections, gc, json, sys
class Inside:
    def __init__(self, number):
        self.number = number
        self.text = "inside %d" % number
kept = [Inside(number) for number in range(100)]
table = {number: [number] for number in range(100)}
'''


class Outside:
    def __init__(self, number):
        self.number = number


def load():
    if (3, 10, 0) <= sys.version_info < (3, 10, 2):
        # A second interpreter cannot import io and ends the process (bpo-46006).
        return None
    for name in ('_interpreters', '_xxsubinterpreters'):
        try:
            return __import__(name)
        except ImportError:
            pass
    return None


outside = [Outside(number) for number in range(100)]
interpreters = load()
if interpreters is not None:
    try:
        # Made as any extension does it: one allocator and one lock for all (from 3.12 on there is a choice).
        shared = interpreters.create('legacy') if sys.version_info >= (3, 13) else interpreters.create(isolated=False)
    except TypeError:
        shared = interpreters.create()
    interpreters.run_string(shared, CODE)
    if sys.version_info >= (3, 12):
        isolated = interpreters.create('isolated') if sys.version_info >= (3, 13) else interpreters.create()
        interpreters.run_string(isolated, CODE)

ready.wait()
