"""Runs a script in a child of multiprocessing: `in_child.py fork|spawn|forkserver|thread SCRIPT`.

With `thread` a second thread forks, so that the child's only thread is not the first one of its parent.
"""
import multiprocessing
import os
import runpy
import sys
import threading


def work(script):
    sys.path.insert(0, os.path.dirname(script))
    sys.argv = [script]
    runpy.run_path(script)


def start(method, script):
    child = multiprocessing.get_context(method).Process(target=work, args=(script,))
    child.start()
    child.join()


if __name__ == '__main__':
    how, path = sys.argv[1:]
    if how == 'thread':
        parent = threading.Thread(target=start, args=('fork', path))
        parent.start()
        parent.join()
    else:
        start(how, path)
