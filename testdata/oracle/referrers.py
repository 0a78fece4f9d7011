"""Who refers to what, and what no root reaches: heapy's answers, in the child that the oracle has forked.

heapy would count what the child itself has made as referrers, so the sets are put together here from what heapy
says of one object at a time: its edges, its roots, its classes and dict owners.  The result is

    rcs           [label, objects, bytes, objects of unknown size] for each row of heap().byrcs
    unreachable   [label, objects, bytes, objects of unknown size] for each row of heapu()
"""
import sys


class Graph(object):
    """heapy's edges between the objects that the parent has, or would have after its own heap()."""

    def __init__(self, heapy, referents, unsafe, waiting, hv=None):
        self.heapy = heapy
        self.waiting = waiting
        self.unsafe = unsafe            # the module whose traverse does harm, if any
        self.hv = hv or heapy.view.hv
        self.referents = referents
        self.objects = {}
        self.edges = {}
        self.is_old = {}
        self.roots = [waiting]
        others = [frame for frame in sys._current_frames().values() if frame is not sys._getframe()]
        self.roots += [frame for frame in others if not self.is_called_by(frame, waiting)]
        self.roots += self.hv.relimg([heapy.view.heapyc.RootState])
        self.roots = [obj for obj in self.roots if self.old(obj)]

    def with_hidden(self):
        """The same with what heapy hides of itself, as heapu() looks at it."""
        view = self.heapy.view
        fresh = view.heapyc.HeapView(view.heapyc.RootState, view.heapdefs)
        return Graph(self.heapy, self.referents, self.unsafe, self.waiting, fresh)

    @staticmethod
    def is_called_by(frame, caller):
        """Whether `frame` belongs to the thread of `caller`."""
        while frame is not None:
            if frame is caller:
                return True
            frame = frame.f_back
        return False

    def old(self, obj):
        address = id(obj)
        if address not in self.is_old:
            self.is_old[address] = self.heapy.origin(obj) is not None
            self.objects[address] = obj             # so that no other object gets its address
        return self.is_old[address]

    def image(self, obj):
        return self.referents(obj) if obj is self.unsafe else self.hv.relimg([obj])

    def targets(self, obj):
        """The addresses of the old objects to which `obj` referred when the parent stopped."""
        address = id(obj)
        if address not in self.edges:
            found = {id(target): target for target in self.image(obj) if self.old(target)}
            fact = self.heapy.facts.get(address)
            if fact is not None and address not in self.owners():
                # What guppy's import has changed since, by the collector's view.
                now = set(id(target) for target in self.referents(obj))
                for added in now.difference(fact[2]):
                    found.pop(added, None)
                for removed in set(fact[2]).difference(now):
                    target = self.heapy.heap.get(removed)
                    if target is not None and self.old(target):
                        found[removed] = target
            self.edges[address] = found
        return self.edges[address]

    def owners(self):
        """The instances whose dictionaries were made only now."""
        if not hasattr(self, 'known_owners'):
            self.known_owners = set(owner for owner, _ in self.heapy.owners.values())
        return self.known_owners

    def reached(self, start, is_wanted):
        """What `start` leads to, as {address: object}."""
        found = {}
        todo = [obj for obj in start if is_wanted(obj)]
        while todo:
            obj = todo.pop()
            if id(obj) not in found:
                found[id(obj)] = obj
                todo += [target for target in self.targets(obj).values() if is_wanted(target)]
        return found


def answers(heapy, nodes, size_of, tracked, graph):
    """Both lists of rows; `nodes` is the heap, `size_of` gives sizes, -1 for an unknown one."""
    reached = graph.reached(graph.roots, lambda obj: True)
    rcs = by_referrers(heapy, nodes, size_of, reached, graph)
    if not heapy.is_late:
        graph = graph.with_hidden()
        reached = graph.reached(graph.roots, lambda obj: True)
    return {'rcs': rcs, 'unreachable': unreachable(heapy, size_of, reached, tracked, graph)}


def by_referrers(heapy, nodes, size_of, reached, graph):
    listed = set(id(obj) for obj in nodes)
    if not heapy.is_late:
        # What heapy hides of itself refers to nothing; it is not listed.
        reached = {address: obj for address, obj in reached.items() if address in listed}
    everything = dict(reached)
    everything.update((id(obj), obj) for obj in nodes)
    kinds = {}
    labels = ['guppy.heapy.heapyc.RootStateType']
    for row in heapy.view.idset(heapy.view.immnodeset(everything.values())).partition.get_rows():
        for obj in row.set.nodes:
            kinds[id(obj)] = len(labels)
        labels.append(row.name)
    sets = {address: set() for address in listed}
    for obj in graph.roots:
        if id(obj) in sets:
            sets[id(obj)].add(0)
    for address, obj in reached.items():
        for target in graph.targets(obj):
            if target in sets:
                sets[target].add(kinds[address])
    rows = {}
    for obj in nodes:
        add(rows, frozenset(sets[id(obj)]), size_of(obj))
    named = []
    for key, counts in rows.items():
        named.append([', '.join(sorted(labels[kind] for kind in key)) or '<Nothing>'] + counts)
    return sorted(named)


def unreachable(heapy, size_of, reached, tracked, graph):
    own = ('Gchook_type', 'ClearCallback')
    start = [obj for address, obj in heapy.heap.items()
             if address in tracked and type(obj).__name__ not in own and graph.old(obj) and address not in reached]
    found = graph.reached(start, lambda obj: id(obj) not in reached)
    rows = {}
    for row in heapy.view.idset(heapy.view.immnodeset(found.values())).bytype.partition.get_rows():
        for obj in row.set.nodes:
            add(rows, (row.index, row.name), size_of(obj))
    return sorted([label] + counts for (_, label), counts in rows.items())


def add(rows, key, size):
    counts = rows.setdefault(key, [0, 0, 0])
    counts[0] += 1
    counts[1] += max(size, 0)
    counts[2] += size < 0
