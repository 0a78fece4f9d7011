#!/usr/bin/env python3
"""Check what `heapattach stats` has written, as a program would that reads it.

    check_stats.py PROTOCOL FILE [PROTOCOL FILE]...     pickles of the same heap, in these protocols
    check_stats.py --map                                maps of the lists that come in as JSON, for comparison

It runs on Python 3, and on 2.7 with protocols 0 to 2; what is newer than the Python is left out aloud.  With guppy3
the dumps are opened by heapy itself, and its tables are compared.  If HEAPATTACH_RECIPE names a file with the recipe's
`report_memmap`, the maps are compared with its maps as well.
"""
from __future__ import print_function

import io
import json
import os
import pickle
import pickletools
import re
import sys

try:
    from types import ModuleType
    import importlib.util
except ImportError:
    importlib = None
PYTHON_2 = sys.version_info[0] == 2


class Restricted(pickle.Unpickler):
    """Loads nothing but what a dict of texts and bytes needs."""

    def find_class(self, module, name):
        if (module, name) == ('_codecs', 'encode') and self.may_encode:
            return pickle.Unpickler.find_class(self, module, name)
        raise pickle.UnpicklingError('%s.%s is not allowed' % (module, name))


def load(data, protocol):
    if PYTHON_2:
        return pickle.loads(data)
    unpickler = Restricted(io.BytesIO(data))
    unpickler.may_encode = protocol < 3
    return unpickler.load()


def operations(data):
    """Names and arguments; frames are a hint to readers that heapattach does not give."""
    return [(operation.name, argument) for operation, argument, _ in pickletools.genops(data)
            if operation.name != 'FRAME']


def timeless(value):
    """The value with the moments taken out of the dumps."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [timeless(inner) for inner in value]
    text = type('') if not PYTHON_2 else type(b''.decode())
    return re.sub(r'\.timemade: [0-9.]+', '', value) if isinstance(value, text) else value


def check_pickle(data, protocol):
    """Gives the dict; it is what CPython's own pickler would have written."""
    stats = load(data, protocol)
    assert operations(data)[-1][0] == 'STOP'
    if not PYTHON_2:
        again = pickle.dumps(stats, protocol)
        if protocol < 4:
            assert again == data, 'protocol %d is not what pickle.dumps writes' % protocol
        else:
            assert operations(again) == operations(data), 'protocol %d: other operations' % protocol
    assert sorted(stats) == ['byclodo', 'byrcs', 'memmap']
    assert sorted(stats['byclodo']) == ['reachable', 'refs', 'statdump', 'statdumpu', 'uncollectable']
    assert sorted(stats['byrcs']) == ['reachable', 'statdump']
    assert sorted(stats['memmap']) == ['detail', 'hi', 'lo', 'med']
    return stats


def check_map(stats):
    detail = stats['memmap']['detail']
    assert isinstance(detail, bytes)
    spans = pickle.loads(detail)
    assert spans == sorted(spans)
    if sys.version_info >= (3, 7):          # 3.6 writes small ints as long ones
        assert detail == pickle.dumps(spans, 0)
    if spans:
        maps = tuple(stats['memmap'][name] for name in ('lo', 'med', 'hi'))
        assert maps == all_maps(spans)
        if os.environ.get('HEAPATTACH_RECIPE'):
            assert maps == recipe_maps()(spans)
    return len(spans)


# ---- the maps, by the rules and slowly -----------------------------------------------------------

SMALLEST, WIDTH, LINES, HEADER = 4096, 80, 40, 16


def all_maps(spans):
    """The three maps of a sorted list of (address, size)."""
    bounds = ((0, 2 ** 31), (2 ** 31, 2 ** 32), (2 ** 32, 2 ** 64))
    return tuple(one_map(spans, low, high) for low, high in bounds)


def one_map(spans, low, high):
    inside = [address for address, _ in spans if low <= address < high]
    if not inside:
        return 'empty'
    sector = SMALLEST
    while (inside[-1] - inside[0]) // sector // WIDTH > LINES:
        sector *= 2
    first = inside[0] // sector * sector
    last = inside[-1] // sector * sector + sector
    signs = ''.join(sign_of(spans, start, start + sector) for start in range(first, last, sector))
    counts = [signs.count(sign) for sign in '-* ']
    text = '%s total, %s per sector\n' % (quantity(last - first), quantity(sector))
    for start in range(0, len(signs), WIDTH):
        line = signs[start:start + WIDTH]
        text += line + ('\n' if len(line) == WIDTH else '')
    blanks = '\n' + ' ' * 8
    text += blanks + 'Fragmentation: %.2f%%' % (counts[0] * 100.0 / len(signs))
    text += blanks + 'Fragmented sectors: %d' % counts[0]
    text += blanks + 'Contiguous used sectors: %d' % counts[1]
    return text + blanks + 'Contiguous free sectors: %d' % counts[2] + blanks


def sign_of(spans, start, end):
    """Whether the sector is covered without a hole, touched, or free."""
    at = start
    touched = False
    for address, size in spans:
        after = address + size + HEADER
        if after <= at:
            continue
        touched = touched or address < end
        if address > at:
            break
        at = after
        if at >= end:
            break
    return '*' if at >= end else '-' if touched else ' '


def quantity(number):
    if number < 1024:
        return '%db' % number
    for unit in ('Kb', 'Mb', 'Gb'):
        number /= 1024.0
        if number < 1024 or unit == 'Gb':
            return '%.2f%s' % (number, unit)


def recipe_maps():
    """The recipe's own function, from a file that is not ours."""
    stand_in = ModuleType('guppy')
    stand_in.hpy = lambda: None
    loaded = sys.modules.get('guppy')
    sys.modules['guppy'] = stand_in
    try:
        spec = importlib.util.spec_from_file_location('recipe', os.environ['HEAPATTACH_RECIPE'])
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
    finally:
        if loaded is None:
            del sys.modules['guppy']
        else:
            sys.modules['guppy'] = loaded
    return recipe.report_memmap


# ---- heapy ---------------------------------------------------------------------------------------

def check_heapy(stats):
    """heapy opens the dumps and prints the same pages."""
    from guppy import hpy
    hp = hpy()
    clodo = stats['byclodo']
    for pages, dump in ((clodo['reachable'], clodo['statdump']), (clodo['uncollectable'], clodo['statdumpu']),
                        (stats['byrcs']['reachable'], stats['byrcs']['statdump'])):
        table = hp.load(dump.splitlines(True))
        for page in pages:
            assert repr(table) == page, '%r\n%s\n%s' % (dump[:100], table, page)
            table = table.more
        again = io.StringIO()
        hp.load(dump.splitlines(True)).dump(again)
        assert timeless(again.getvalue()) == timeless(dump)
    table = hp.load(clodo['statdump'].splitlines(True))
    rows = list(table.get_rows())
    table.rows = sorted(rows, key=lambda row: -row.count)
    assert repr(table) == clodo['refs'], clodo['refs']
    return len(rows)


def print_maps():
    """For each list of spans that comes in, the three maps; the recipe's too if there is one."""
    lists = json.loads(sys.stdin.read())
    functions = [all_maps] + ([recipe_maps()] if os.environ.get('HEAPATTACH_RECIPE') else [])
    print(json.dumps([[function([tuple(span) for span in spans]) for spans in lists] for function in functions]))


def main():
    if sys.argv[1:] == ['--map']:
        return print_maps()
    first = None
    checked = 0
    for protocol, name in zip(sys.argv[1::2], sys.argv[2::2]):
        if int(protocol) > pickle.HIGHEST_PROTOCOL:
            print('protocol %s is newer than this Python' % protocol)
            continue
        checked += 1
        with open(name, 'rb') as file:
            stats = check_pickle(file.read(), int(protocol))
        if first is None:
            first = stats
            objects = check_map(stats)
        assert timeless(stats) == timeless(first)
    try:
        rows = check_heapy(first)
    except ImportError:
        rows = None
    print('%d pickles, %d objects, %s rows by heapy' % (checked, objects, rows))


if __name__ == '__main__':
    main()
