"""Has objects, names each (`address size type`), says READY and sleeps.

    known_objects.py FILE              FILE, a program, is mapped with its variables and then cut off
    known_objects.py --pressed         everything is pushed out of memory as far as the kernel can
    known_objects.py --with LIBRARY    loads another libpython and starts its interpreter, too
"""
import sys
import time


class Thing:
    __slots__ = ('number', 'text', 'parts')

    def __init__(self, number):
        self.number = 1000 + number
        self.text = 'thing %d' % number
        self.parts = [number / 3, self.text]


def cut_off(path):
    import mmap
    with open(path, 'r+b') as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        file.truncate(4096)
    return mapped


def press():
    """madvise(MADV_PAGEOUT) of everything: files' pages go back to their files, others to swap if there is any."""
    import ctypes
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    with open('/proc/self/maps') as maps:
        spans = [line.split()[0].split('-') for line in maps if '[v' not in line]
    for start, end in spans:
        advise(int(start, 16), int(end, 16) - int(start, 16), 21)


things = [Thing(number) for number in range(1000)]
known = []
for thing in things:
    for found in (thing, thing.number, thing.text, thing.parts, thing.parts[0]):
        known.append('%#x %d %s' % (id(found), sys.getsizeof(found),
                                    '__main__.Thing' if found is thing else type(found).__name__))
arguments = sys.argv[1:]
if arguments[:1] == ['--with']:
    import ctypes
    import os
    kept = ctypes.CDLL(arguments[1], os.RTLD_NOW | os.RTLD_LOCAL | os.RTLD_DEEPBIND)
    kept.Py_InitializeEx(0)
elif arguments == ['--pressed']:
    press()
elif arguments:
    kept = cut_off(arguments[0])
sys.stdout.write('\n'.join(known) + '\nREADY\n')
sys.stdout.flush()
while True:
    time.sleep(100)
