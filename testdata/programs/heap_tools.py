"""What other tools need for a heap, measured from inside the process that has it: loaded, then run when a
line comes on standard input.

`recipe` does what the recipe's heapStats() does: three of heapy's partitions with their dumps and pages, a list
of (address, size) of all objects, pickled, a map of it in three bands, and all of that as one pickled dict.
"""
import gc
import importlib
import io
import pickle
import sys
import time


def guppy_table():
    from guppy import hpy
    heap = hpy().heap()
    return len(repr(heap)), heap.count


def guppy_byrcs():
    from guppy import hpy
    heap = hpy().heap()
    return len(repr(heap.byrcs)), heap.count


def dump(partition):
    out = io.StringIO()
    partition.dump(out)
    return out.getvalue()


def pages(partition):
    first = partition.more
    return [repr(partition), repr(first), repr(getattr(first, 'more', ''))]


def band(spans):
    """Signs of the sectors that these (address, size) touch, and the size of a sector."""
    if not spans:
        return 'empty'
    sector, first, last = 4096, spans[0][0], spans[-1][0]
    while (last - first) // sector // 80 > 40:
        sector *= 2
    first = first // sector * sector
    used = [0] * ((last - first) // sector + 1)
    for address, size in spans:
        at, left = address - first, size + 16
        while left > 0 and at // sector < len(used):
            part = min(left, sector - at % sector)
            used[at // sector] += part
            at += part
            left -= part
    return sector, ''.join('*' if bytes >= sector else '-' if bytes else ' ' for bytes in used)


def recipe():
    from guppy import hpy
    hp = hpy()
    heap = hp.heap()
    text = {'byclodo': {'statdump': dump(heap)}}
    unreachable = hp.heapu()
    text['byclodo']['statdumpu'] = dump(unreachable)
    by_referrers = heap.byrcs
    text['byrcs'] = {'statdump': dump(by_referrers)}
    rows = sorted(heap.stat.get_rows(), key=lambda row: -row.count)
    text['byclodo']['refs'] = '\n'.join('%d %d %s' % (row.count, row.size, row.name) for row in rows)
    size_of = hp.Size.classifier.get_cli().classify
    spans = sorted((id(one), size_of(one)) for one in heap.nodes)
    low, middle = 1 << 31, 1 << 32
    text['memmap'] = {
        'detail': pickle.dumps(spans, 0),
        'lo': band([span for span in spans if span[0] < low]),
        'med': band([span for span in spans if low <= span[0] < middle]),
        'hi': band([span for span in spans if middle <= span[0]]),
    }
    text['byclodo'].update(reachable=pages(heap), uncollectable=pages(unreachable))
    text['byrcs']['reachable'] = pages(by_referrers)
    return len(pickle.dumps(text, 2)), heap.count


def gc_sizes():
    rows = {}
    objects = gc.get_objects()
    for one in objects:
        row = rows.setdefault(type(one), [0, 0])
        row[0] += 1
        row[1] += sys.getsizeof(one)
    rows = sorted(rows.items(), key=lambda row: -row[1][1])
    return len(str(rows)), len(objects)


def pympler():
    from pympler import muppy, summary
    objects = muppy.get_objects()
    lines = summary.format_(summary.summarize(objects))
    return len('\n'.join(lines)), len(objects)


TOOLS = {tool.__name__: tool for tool in (guppy_table, guppy_byrcs, recipe, gc_sizes, pympler)}


PACKAGES = {'guppy_table': 'guppy', 'guppy_byrcs': 'guppy', 'recipe': 'guppy', 'pympler': 'pympler.summary'}


def measure(name):
    """What the tool costs; loading it is not counted."""
    try:
        if name in PACKAGES:
            importlib.import_module(PACKAGES[name])
        tool = TOOLS[name]
    except (ImportError, KeyError) as problem:
        return {'problem': repr(problem)}
    print('loaded', flush=True)
    sys.stdin.readline()        # the measurer is ready
    wall, cpu = time.perf_counter(), time.thread_time()
    size, objects = tool()
    return {'wall_ms': (time.perf_counter() - wall) * 1e3, 'cpu_ms': (time.thread_time() - cpu) * 1e3,
            'objects': objects, 'output_bytes': size}
