"""Compares `heapattach buffers` and `heapattach map` with what Python itself says of the same objects.

    compare.py PYTHON HEAPATTACH

Starts program.py under PYTHON and prints every difference. Exit status 1 if there is one.
"""
import json
import os
import re
import subprocess
import sys

SINCE = {'arenas': 0, 'block_bytes': 4_000, 'free_block_bytes': 4_000, 'free_pools': 1}
"""How much may change between the program's last word and its waiting."""


def report(binary, pid, verb):
    """One report, as JSON says it."""
    command = [binary, verb, '-p', str(pid), '--format', 'json', '--no-progress']
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def differences(wanted, rows):
    """What is wrong with the rows of one object."""
    if 'all' in wanted:
        found = sorted({(int(row['address'], 16), row['bytes']) for row in rows})
        if found != sorted(map(tuple, wanted['all'])):
            yield f'buffers {found}, wanted {wanted["all"]}'
        return
    if wanted['role'] is None:
        if rows:
            yield f'rows {rows}, wanted none'
        return
    if not rows or (len(rows) > 1 and not wanted.get('several')):
        yield f'{len(rows)} rows: {rows}'
        return
    row = rows[0]
    size = sum(row['bytes'] for row in rows)
    if wanted['address'] is not None and int(row['address'], 16) != wanted['address']:
        yield f'address {row["address"]}, wanted {wanted["address"]:#x}'
    if not wanted['bytes'] <= size <= wanted['bytes'] + wanted.get('slack', 0):
        yield f'{size} bytes, wanted {wanted["bytes"]}'
    for key in ('role', 'counted'):
        if row[key] != wanted[key]:
            yield f'{key} {row[key]}, wanted {wanted[key]}'
    if wanted['owner'] and (row['owner'] is None or int(row['owner'], 16) != wanted['owner']):
        yield f'owner {row["owner"]}, wanted {wanted["owner"]:#x}'


def check_buffers(found, expected):
    """Every object, and the sums."""
    by_object = {}
    for row in found['buffers']:
        by_object.setdefault(int(row['object'], 16), []).append(row)
    for wanted in expected:
        for difference in differences(wanted, by_object.get(wanted['object'], [])):
            yield f'{wanted["type"]} {wanted["object"]:#x}: {difference}'
    for problem in found['buffer_problems']:
        yield f'problem: {problem}'
    for counted, key in ((False, 'uncounted_bytes'), (True, 'counted_bytes')):
        rows = sum(row['attributed'] for row in found['buffers'] if row['counted'] is counted)
        if rows != found['buffer_totals'][key]:
            yield f'{key} {found["buffer_totals"][key]}, the rows have {rows}'


def check_sizes(rows, expected):
    """sys.getsizeof of every object, which some descriptions tell."""
    sizes = {int(row['address'], 16): row['bytes'] for row in rows}
    for wanted in expected:
        size = sizes.get(wanted['object'])
        if size != wanted.get('getsizeof', size):
            yield f'{wanted["type"]} {wanted["object"]:#x}: sys.getsizeof {size}, wanted {wanted["getsizeof"]}'


def check_map(found, buffers, allocator):
    """The numbers of the map that are known otherwise."""
    regions = found['regions']
    objects = sum(region['objects'] for region in regions)
    if objects != found['heap']['objects'] - found['heap']['synthetic']['objects']:
        yield f'map: {objects} objects in regions, the heap has {found["heap"]["objects"]}'
    in_buffers = sum(region['buffer_bytes'] for region in regions)
    if in_buffers != buffers['buffer_totals']['uncounted_bytes']:
        yield f'map: {in_buffers} bytes of buffers, wanted {buffers["buffer_totals"]["uncounted_bytes"]}'
    for region in regions:
        if region['used_bytes'] > region['bytes'] or region['full'] + region['fragmented'] + region['free'] != len(region['map']):
            yield f'map: {region}'
    pymalloc = found.get('pymalloc')
    if pymalloc is None:
        yield 'map: no arenas'
        return
    for key, change in SINCE.items():
        if abs(pymalloc[key] - allocator[key]) > change:
            yield f'map: {pymalloc[key]} {key}, the interpreter has {allocator[key]}'
    arenas = sum(region['bytes'] for region in regions if region['kind'] == 'pymalloc arenas')
    if arenas != pymalloc['bytes']:
        yield f'map: arenas of {arenas} bytes in regions, {pymalloc["bytes"]} in all'


def numbers(name):
    """What sys._debugmallocstats() wrote to a file."""
    with open(name) as file:
        text = file.read()

    def number(pattern):
        found = re.search(pattern, text)
        return found and int(found.group(1).replace(',', ''))

    return {'arenas': number(r'# arenas allocated current\s*=\s*([\d,]+)'),
            'block_bytes': number(r'# bytes in allocated blocks\s*=\s*([\d,]+)'),
            'free_block_bytes': number(r'# bytes in available blocks\s*=\s*([\d,]+)'),
            'free_pools': number(r'([\d,]+) unused pools')}


def main():
    """Starts the program, inspects it, prints what differs."""
    python, binary = sys.argv[1:]
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'program.py')
    with subprocess.Popen([python, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().split()[0] == b'READY'
            said = json.loads(process.stdout.readline())
            name = process.stdout.readline().strip()
            assert process.stdout.readline() == b'.\n'
            allocator = numbers(name)
            buffers = report(binary, process.pid, 'buffers')
            found = [*check_buffers(buffers, said['objects'])]
            found += check_sizes(report(binary, process.pid, 'objects')['objects'], said['objects'])
            found += check_map(report(binary, process.pid, 'map'), buffers, allocator)
        finally:
            process.kill()
    print(len(said['objects']), 'objects,', ', '.join(said['installed']) or 'the standard library only')
    for difference in found:
        print(difference)
    return 1 if found else 0


sys.exit(main())
