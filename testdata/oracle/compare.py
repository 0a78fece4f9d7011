#!/usr/bin/env python3
"""Compare what heapattach lists with what the oracle wrote down; for developers, by hand.

    compare.py run [--binary FILE] [--python FILE] [--mode MODE] [--look NAME[=DIR]] SCENARIO...
        start each scenario under the oracle, run heapattach on it, print the differences; with
        --host 'COMMAND ... {scenario}' inside another program than a plain interpreter, with
        --then COMMAND after something has happened to it (HEAPATTACH_PID is its process)
    compare.py files PREFIX [--heapy CSV] [--complete CSV] [--references CSV]
        the same for files that are there already; PREFIX names the oracle's files

Differences are counted by type, with examples.  Exit status 1 if there is any.

    missing    the oracle has the object, heapattach has not
    extra      the reverse (heapy view only: the complete view has more by design)
    size       both have it, with different sizes        type, clodo, tracked    likewise
"""
import argparse
import collections
import csv
import hashlib
import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
EXAMPLES = 5

# Differences that are right: (view, what, beginning of the type), and why.
EXPLAINED = {
    ('references', 'missing', 'guppy.'):
        "a C type of a package that is not CPython's: its references lie in blocks of its own",
    ('references', 'missing', 'module -> builtins.stderrprinter'):
        "a static variable of the module faulthandler, which -X dev enables",
    ('heapy view', 'missing', 'builtins.stderrprinter'):
        "the same: only that variable refers to it",
}
# Anomalies that are right: kind, what doctor says of it (all of it), and why.
EXPLAINED_ANOMALIES = {
    'layout-disagreement': (
        ['layout: sizeof(PyInterpreterState): the table says 5648, DWARF says 5656'],
        "Debian's 3.9.2 has int_max_str_digits, which came with 3.9.14 (CVE-2020-10735), at the end of it"),
}
# The object of EXPLAINED that is in tables as well.
UNSEEN = 'builtins.stderrprinter'
TOO_LONG = 300       # seconds for one scenario, everything included


class Oracle(object):
    """The oracle's files."""

    def __init__(self, prefix):
        with open(prefix + '.json') as file:
            self.summary = json.load(file)
        self.labels = self.summary['labels']
        self.closure = {}
        for line in open(prefix + '.gcnodes'):
            address, size, kind, clodo, tracked = line.split()
            clodo = self.labels[int(clodo)] if int(clodo) >= 0 else None
            self.closure[int(address, 16)] = (int(size), self.labels[int(kind)], clodo, int(tracked))
        self.references = {}
        self.referring = None
        for line in open(prefix + '.refs'):
            source, _, targets = line.partition(':')
            self.references[int(source, 16)] = [int(target, 16) for target in targets.split()]
        self.read_inside(prefix + '.inside')
        self.nodes = None
        if self.summary['heapy']:
            self.nodes = []
            for line in open(prefix + '.nodes'):
                address, size, kind, clodo, origin, owner = line.split()
                self.nodes.append((int(address, 16), int(size), self.labels[int(kind)], self.labels[int(clodo)],
                                   origin, int(owner, 16)))

    def read_inside(self, path):
        """What other interpreters see: added to the rest, and their numbers kept."""
        self.inside = {}
        if not os.path.exists(path):
            return
        for line in open(path):
            facts, _, targets = line.rpartition(':')
            number, address, size, tracked, own, kind = facts.split(' ', 5)
            address = int(address, 16)
            self.inside.setdefault(address, []).append((int(number), own == '1'))
            if address not in self.closure:
                self.closure[address] = (int(size), kind, None, int(tracked))
                self.references[address] = [int(target, 16) for target in targets.split()]

    def referrers(self, address):
        """What refers to it by gc.get_referents, in words."""
        if self.referring is None:
            self.referring = collections.defaultdict(list)
            for source, targets in self.references.items():
                for target in targets:
                    self.referring[target].append(source)
        sources = self.referring.get(address, ())
        listed = {node[0] for node in self.nodes or ()}
        words = ['%s%s at %#x' % ('' if source in listed else 'invisible ', self.closure[source][1], source)
                 for source in sources[:3]]
        return ' <- ' + ', '.join(words) if words else ' <- nothing that gc sees'


def rows(path):
    with open(path, newline='') as file:
        lines = csv.reader(file)
        names = next(lines)
        for line in lines:
            row = dict(zip(names, line))
            row['address'] = int(row['address'], 16)
            row['bytes'] = int(row['bytes'])
            yield row


class Differences(object):
    """Differences by what and by type, with examples."""

    def __init__(self, title, oracle):
        self.title = title
        self.oracle = oracle
        self.found = collections.defaultdict(list)
        self.notes = []
        self.explained = 0
        self.compared = 0

    def add(self, what, kind, example, address=None):
        self.found[what, kind].append((example, address))

    def explain(self):
        """Take out what is explained, leaving a note."""
        for (view, what, beginning), why in EXPLAINED.items():
            keys = [key for key in self.found if view == self.title and key[0] == what and key[1].startswith(beginning)]
            count = sum(len(self.found.pop(key)) for key in keys)
            if count:
                self.explained += count
                self.notes.append('%d %s of %s*, explained: %s' % (count, what, beginning, why))

    def show(self):
        self.explain()
        total = sum(len(examples) for examples in self.found.values())
        print('%s: %s' % (self.title, '%d differences' % total if total else 'no difference'))
        for note in self.notes:
            print('    ' + note)
        order = sorted(self.found.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1]))
        for (what, kind), examples in order:
            print('    %-9s %7d  %s' % (what, len(examples), kind))
            for example, address in examples[:EXAMPLES]:
                print('                        ' + example + (self.oracle.referrers(address) if address else ''))
        return total


def compare_heapy(oracle, path):
    """Address by address: same set, size, type, clodo."""
    differences = Differences('heapy view', oracle)
    theirs = {}
    made = collections.defaultdict(list)
    for row in rows(path):
        if row['found_by'] == 'synthetic':
            made[row['type'], row['address']].append(row)
        else:
            theirs[row['address']] = row
    frames = collections.Counter()
    for address, size, kind, clodo, origin, owner in oracle.nodes:
        if origin == 'frame':
            frames[size] += 1
            continue
        if origin == 'dict':
            candidates = made.pop(('dict', owner), None)
            row = candidates[0] if candidates else theirs.pop(address, None)
            where = 'of the object at %#x' % owner
        else:
            row = theirs.pop(address, None)
            where = 'at %#x' % address
        if row is None:
            differences.add('missing', clodo if origin == 'memory' else clodo + ' (synthetic)',
                            '%s, %d bytes' % (where, size), address)
            continue
        if row['bytes'] != size and size >= 0:
            differences.add('size', clodo, '%s: oracle %d, heapattach %d' % (where, size, row['bytes']), address)
        if row['type'] != kind:
            differences.add('type', kind, '%s: oracle %s, heapattach %s' % (where, kind, row['type']))
        if row['clodo'] != clodo:
            differences.add('clodo', clodo, '%s: oracle %s, heapattach %s' % (where, clodo, row['clodo']))
    for (kind, address), left in made.items():
        for row in left:
            if kind == 'types.FrameType' and frames[row['bytes']] > 0:
                frames[row['bytes']] -= 1
            else:
                differences.add('extra', row['clodo'] + ' (synthetic)', 'at %#x, %d bytes' % (address, row['bytes']))
    for size, count in frames.items():
        for _ in range(count):
            differences.add('missing', 'types.FrameType (synthetic)', '%d bytes' % size)
    for address, row in theirs.items():
        differences.add('extra', row['clodo'],
                        'at %#x, %d bytes, found by %s' % (address, row['bytes'], row['found_by']), address)
    differences.compared = len(oracle.nodes)
    differences.notes.append('%d objects, %d of them would be made by heapy' % (
        len(oracle.nodes), sum(1 for node in oracle.nodes if node[4] != 'memory')))
    return differences


def compare_complete(oracle, path):
    """Everything that the program can see is there, with its size."""
    differences = Differences('complete view', oracle)
    theirs = {row['address']: row for row in rows(path)}
    expected = {address: (size, kind, None, None) for address, size, kind, _, origin, _ in oracle.nodes or ()
                if origin == 'memory'}
    expected.update(oracle.closure)
    for address, (size, kind, clodo, tracked) in sorted(expected.items()):
        row = theirs.get(address)
        where = 'at %#x' % address
        if row is None:
            differences.add('missing', kind, '%s, %d bytes' % (where, size), address)
            continue
        if row['bytes'] != size and size >= 0:
            differences.add('size', kind, '%s: oracle %d, heapattach %d' % (where, size, row['bytes']), address)
        if row['type'] != kind:
            differences.add('type', kind, '%s: oracle %s, heapattach %s' % (where, kind, row['type']))
        if clodo is not None and row['clodo'] != clodo:
            differences.add('clodo', clodo, '%s: oracle %s, heapattach %s' % (where, clodo, row['clodo']))
        if tracked in (0, 1) and tracked != (row['gc_tracked'] in ('1', 'true', 'True', 'yes')):
            differences.add('tracked', kind, '%s: oracle %s' % (where, bool(tracked)))
    compare_interpreters(oracle, theirs, differences)
    more = collections.Counter((row['found_by'], row['type']) for address, row in theirs.items()
                               if address not in expected)
    differences.compared = len(expected)
    differences.notes.append('%d expected, %d listed' % (len(expected), len(theirs)))
    for found_by in sorted(set(key[0] for key in more)):
        kinds = [(count, kind) for (by, kind), count in more.items() if by == found_by]
        kinds.sort(reverse=True)
        differences.notes.append('more, found by %s: %d (%s)' % (
            found_by, sum(count for count, _ in kinds), ', '.join('%s %d' % (kind, count) for count, kind in kinds[:8])))
    return differences


def compare_interpreters(oracle, theirs, differences):
    """What an interpreter's collector lists belongs to it; what it only leads to does not belong to a third one."""
    shared = 0
    for address, seen in oracle.inside.items():
        row = theirs.get(address)
        if row is None:
            continue
        found = row['interpreter']
        shared += found == ''
        owners = [number for number, own in seen if own]
        may = owners or [0] + [number for number, _ in seen]
        if (owners or found) and found not in map(str, may):
            differences.add('interpreter', row['type'], 'at %#x: oracle %s, heapattach %s' % (address, may, found or None))
    if oracle.inside:
        differences.notes.append('%d seen by other interpreters, of them %d shared' % (len(oracle.inside), shared))


def compare_stats(oracle, path):
    """The rows of heapStats()'s dict: same labels, counts, sizes."""
    differences = Differences('stats', oracle)
    with open(path) as file:
        stats = json.load(file)
    clodo = collections.defaultdict(lambda: [0, 0, 0])
    for _, size, _, label, _, _ in oracle.nodes:
        row = clodo[label]
        row[0] += 1
        row[1] += max(size, 0)
        row[2] += size < 0
    heapy = oracle.summary['heapy']
    take_out_unseen(heapy['rcs'], clodo, stats['partitions']['clodo'], differences)
    for name, rows in (('clodo', [[label] + row for label, row in clodo.items()]), ('rcs', heapy['rcs']),
                       ('unreachable', heapy['unreachable'])):
        if name == 'unreachable' and oracle.summary['mode'] != 'forklate':
            differences.notes.append("unreachable: not compared, guppy's own C types refer to it from blocks of their own")
            continue
        ours = [[row['label'], row['objects'], row['bytes'], 0] for row in stats['partitions'][name]]
        expected, found = by_label(rows), by_label(ours)
        for label in sorted(set(expected) | set(found)):
            count, size, unknown = expected.get(label, (0, 0, 0))
            ours = found.get(label, (0, 0, 0))
            if ours[0] != count or (ours[1] != size and not unknown):
                differences.add(name, label[:100], 'oracle %d objects, %d bytes; heapattach %d, %d' % (
                    count, size, ours[0], ours[1]))
        differences.notes.append('%s: %d rows' % (name, len(expected)))
    compare_detail(oracle, stats['memmap']['detail'], differences)
    return differences


def compare_detail(oracle, pickled, differences):
    """The recipe's list of every object in memory: address and size."""
    ours = dict(pickle.loads(pickled.encode('latin-1')))
    for address, size, _, label, origin, _ in oracle.nodes:
        if origin == 'memory':
            found = ours.pop(address, None)
            if found != size and size >= 0 and label != UNSEEN:
                differences.add('detail', label, 'at %#x: oracle %d, heapattach %s' % (address, size, found))
    for address in ours:
        differences.add('detail', 'extra', 'at %#x, %d bytes' % (address, ours[address]))


def take_out_unseen(rcs, clodo, ours, differences):
    """What EXPLAINED says of builtins.stderrprinter: only a module refers to it."""
    if UNSEEN in clodo and UNSEEN not in [row['label'] for row in ours]:
        count, size, _ = clodo.pop(UNSEEN)
        row = [row for row in rcs if row[0] == 'module'][0]
        row[1:3] = row[1] - count, row[2] - size
        differences.explained += count
        differences.notes.append('%d %s, explained: as in heapy view' % (count, UNSEEN))


def by_label(rows):
    """{label: (objects, bytes, objects of unknown size)}; rows with the same label are one."""
    found = {}
    for label, count, size, unknown in rows:
        old = found.get(label, (0, 0, 0))
        found[label] = (old[0] + count, old[1] + size, old[2] + unknown)
    return found


# What gc.get_referents does not show and heapattach does: the name of the reference's kind.
HIDDEN_KINDS = ('heapy', 'hidden', 'conservative')


def compare_references(oracle, path):
    """The references of each object that tp_traverse visits."""
    differences = Differences('references', oracle)
    theirs = collections.defaultdict(set)
    hidden = collections.defaultdict(set)
    with open(path, newline='') as file:
        lines = csv.reader(file)
        names = next(lines)
        address, kind, target = (names.index(name) for name in ('address', 'kind', 'target'))
        for row in lines:
            into = hidden if row[kind] in HIDDEN_KINDS else theirs
            into[int(row[address], 16)].add(int(row[target], 16))
    known = oracle.closure
    everything = set(known)
    exact = 0
    for address, targets in oracle.references.items():
        kind = known[address][1]
        targets = everything.intersection(targets)
        missing = targets - theirs[address] - hidden[address]
        extra = (theirs[address] & everything) - targets
        exact += not missing and not extra
        for what, which in (('missing', missing), ('extra', extra)):
            for target in which:
                differences.add(what, '%s -> %s' % (kind, known[target][1]), '%#x -> %#x' % (address, target))
    differences.compared = sum(map(len, oracle.references.values()))
    differences.notes.append('%d of %d objects have exactly the referents' % (exact, len(oracle.references)))
    return differences


def visible_pid(started, announced):
    """The number that a process has for us, which may live in a PID namespace of its own."""
    todo = [started]
    while todo:
        pid = todo.pop(0)
        try:
            with open('/proc/%d/status' % pid) as status:
                numbers = [line.split()[-1] for line in status if line.startswith('NSpid:')]
            if numbers == [str(announced)]:
                return pid
            for thread in os.listdir('/proc/%d/task' % pid):
                with open('/proc/%d/task/%s/children' % (pid, thread)) as children:
                    todo += [int(child) for child in children.read().split()]
        except OSError:
            continue
    raise SystemExit('no process below %d calls itself %d' % (started, announced))


def wait_for_ready(target, scenario):
    """The process that says READY, in a line after whatever its host says."""
    for line in iter(target.stdout.readline, b''):
        if line.startswith(b'READY'):
            return visible_pid(target.pid, int(line.split()[1]))
    raise SystemExit('%s did not get ready' % scenario)


def run(arguments, python, scenario, directory, looks):
    """Start a scenario and run heapattach on it, once for each look; gives what was found by look."""
    inspector, mode = shlex.split(arguments.inspector) + [arguments.binary], arguments.mode
    prefix = os.path.join(directory, os.path.splitext(os.path.basename(scenario))[0])
    # A new file in a folder of modules makes the import system of the child forget what the parent knows of it.
    environment = dict(os.environ, HEAPATTACH_ORACLE=prefix, HEAPATTACH_ORACLE_MODE=mode, PYTHONDONTWRITEBYTECODE='1')
    scenario = os.path.abspath(scenario)
    command = [word.replace('{scenario}', scenario).replace('{python}', python)
               for word in shlex.split(arguments.host)]
    target = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True)
    try:
        pid = str(wait_for_ready(target, scenario))
        time.sleep(0.05)
        if arguments.then:
            subprocess.check_call(arguments.then, shell=True, env=dict(os.environ, HEAPATTACH_PID=pid))
        oracle = Oracle(prefix)
        print('== %s, %s, %s' % (os.path.basename(scenario), oracle.summary['python'].split()[0], mode))
        common = inspector + ['-p', pid]
        compared = {}
        found = {name: look(oracle, common + options, prefix, name, compared) for name, options in looks}
        with open('/proc/%s/stat' % pid) as stat:
            state = stat.read().rpartition(')')[2].split()[0]
        if state not in ('SRTDZ' if len(os.listdir('/proc/%s/task' % pid)) > 1 else 'SRTD'):
            print('the process is in state %s afterwards' % state)
            for counts in found.values():
                counts['failed'] = counts.get('failed', 0) + 1
        return found
    finally:
        os.killpg(target.pid, signal.SIGKILL)
        target.wait()


def look(oracle, common, prefix, name, compared):
    """Compare the lists with the oracle; gives the counts for the grid.

    `compared` has what was found out about a list before, by its bytes: another look at the same process that
    prints the same need not be compared again.
    """
    counts = collections.Counter()
    print('-- %s' % name)
    for view, arguments, compare in (
            ('heapy', ['objects', '--view', 'heapy', '--format', 'csv'], compare_heapy),
            ('complete', ['objects', '--format', 'csv'], compare_complete),
            ('references', ['references', '--format', 'csv'], compare_references),
            ('stats', ['stats', '--format', 'json'], compare_stats)):
        if view in ('heapy', 'stats') and oracle.nodes is None:
            print('no guppy: %s not compared' % view)
            continue
        path = '%s.%s.%s' % (prefix, view, arguments[-1])
        with open(path, 'wb') as out:
            status = subprocess.call(common + arguments, stdout=out)
        if status:
            print('heapattach %s: exit status %d' % (' '.join(arguments), status))
            counts['failed'] += 1
            continue
        with open(path, 'rb') as file:
            key = view, hashlib.sha256(file.read()).digest()
        if key in compared:
            print('%s: the same bytes as before' % view)
        else:
            compared[key] = compare(oracle, path)
            compared[key].show()
        differences = compared[key]
        for (what, _), examples in differences.found.items():
            column = view if view in ('references', 'stats') else COLUMNS[what]
            counts[column] += len(examples)
        counts['explained'] += differences.explained
        counts['%s compared' % view] = differences.compared
    report = subprocess.run(common + ['--format', 'json'], stdout=subprocess.PIPE)
    if report.returncode:
        counts['failed'] += 1
        return counts
    report = json.loads(report.stdout)
    for anomaly in report['anomalies']:
        if is_explained(anomaly, common):
            counts['explained'] += anomaly['count']
            continue
        print('    anomaly: %(count)d %(kind)s' % anomaly)
        counts['anomalies'] += anomaly['count']
    counts['objects'] = report['heap']['objects']
    return dict(counts, layout=report['target']['layout_source'])


def is_explained(anomaly, common):
    """Whether doctor says of an anomaly just what is explained."""
    notes, why = EXPLAINED_ANOMALIES.get(anomaly['kind'], ((), ''))
    if anomaly['count'] != len(notes) or not notes:
        return False
    said = subprocess.run(common + ['doctor'], stdout=subprocess.PIPE).stdout.decode()
    said = ' '.join(said.split())
    if said.count('the table says') != len(notes) or not all(note in said for note in notes):
        return False
    print('    %d %s, explained: %s' % (anomaly['count'], anomaly['kind'], why))
    return True


# The grid's column of each kind of difference.
COLUMNS = {'missing': 'missing', 'extra': 'extra', 'size': 'sizes', 'type': 'labels', 'clodo': 'labels',
           'tracked': 'labels'}
# What may not be there.
MUST_BE_NONE = ('failed', 'missing', 'extra', 'sizes', 'labels', 'references', 'stats', 'anomalies')


def main():
    global EXAMPLES
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--examples', type=int, default=EXAMPLES)
    verbs = parser.add_subparsers(dest='verb')
    verbs.required = True
    one = verbs.add_parser('run')
    one.add_argument('--binary', default=os.path.join(PROJECT, 'target', 'release', 'heapattach'))
    one.add_argument('--python', action='append', help='may be given several times')
    one.add_argument('--mode', default='forklate', choices=('forklate', 'fork', 'inline'))
    one.add_argument('--look', action='append', metavar='NAME[=DIR]',
                     help='what to call the comparison, and a folder of debug files (may be given several times)')
    one.add_argument('--summary', help='write the counts to this file')
    one.add_argument('--keep', help='keep the files in this directory')
    one.add_argument('--host', default='{python} {scenario}', help='how the scenario is started')
    one.add_argument('--inspector', default='', help='words before heapattach on its command line')
    one.add_argument('--then', help='a shell command between READY and heapattach')
    one.add_argument('scenario', nargs='+')
    two = verbs.add_parser('files')
    two.add_argument('prefix')
    for name in ('heapy', 'complete', 'references'):
        two.add_argument('--' + name)
    arguments = parser.parse_args()
    EXAMPLES = arguments.examples
    bad = 0
    if arguments.verb == 'files':
        oracle = Oracle(arguments.prefix)
        for path, compare in ((arguments.heapy, compare_heapy), (arguments.complete, compare_complete),
                              (arguments.references, compare_references)):
            if path:
                bad += compare(oracle, path).show()
        return bad > 0
    signal.alarm(TOO_LONG * len(arguments.scenario) * len(arguments.python or [1]))
    pythons = arguments.python or [sys.executable]
    looks = []
    for text in arguments.look or ['live']:
        name, _, folder = text.partition('=')
        looks.append((name, ['--debug-dir', folder] if folder else []))
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.keep:
            os.makedirs(arguments.keep, exist_ok=True)
        for python in pythons:
            for scenario in arguments.scenario:
                found = run(arguments, python, scenario, arguments.keep or temporary, looks)
                bad += sum(counts.get(what, 0) for counts in found.values() for what in MUST_BE_NONE)
                if arguments.summary:
                    with open(arguments.summary, 'w') as out:
                        json.dump(found, out, indent=1)
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
