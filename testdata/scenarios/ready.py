"""What every scenario ends with: `ready.wait()` prints READY and the process id and sleeps.

With HEAPATTACH_ORACLE set, the oracle writes down the heap first (see ../oracle/oracle.py).
"""
import os
import sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'oracle'))

from oracle import named, wait  # noqa: E402,F401
