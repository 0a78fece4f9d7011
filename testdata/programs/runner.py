"""Runs the script named on its command line, whatever the interpreter leaves out of sys.path."""
import os
import sys

sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
with open(sys.argv[0]) as source:
    exec(compile(source.read(), sys.argv[0], 'exec'), {'__name__': '__main__', '__file__': sys.argv[0]})
