"""What the other interpreters of a process see, each from inside itself; used by oracle.py in the forked child.

PREFIX.inside gets a line for each object that the parent has:

    interpreter address size tracked own type: address ...

`own` is 1 if the interpreter's collector lists the object (before 3.9, where there is one collector for all: if
the program made it), 0 if it only leads to it; after the colon come the referents.
"""
import inspect
import sys

# Run in each interpreter; changes nothing in its namespace.
LOOK = '''
def look(path):
    import gc, sys
    gc.disable()
    heap, facts, todo = {}, [], gc.get_objects()
    listed = set(map(id, todo))
    own = listed if sys.version_info >= (3, 9) else set()
    skip = {id(heap), id(facts), id(todo), id(listed), id(own)}
    skip.add(id(skip))
    made = sys.modules['__main__'].__dict__.get('kept', [])
    own.add(id(made))
    own.update(map(id, made))
    while todo:
        obj = todo.pop()
        if id(obj) in heap or id(obj) in skip:
            continue
        try:
            size = sys.getsizeof(obj)
        except Exception:
            size = -1
        found = gc.get_referents(obj)
        flags = gc.is_tracked(obj), id(obj) in listed, id(obj) in own
        facts.append((id(obj), size, flags, sorted(set(map(id, found)))))
        heap[id(obj)] = obj
        todo += found
    name = labeller()
    with open(path, 'w') as out:
        for address, size, flags, targets in facts:
            kind = type(heap[address])
            out.write('%x %x %d %d %d %d %s:' % ((address, id(kind), size) + flags + (name(kind),)))
            out.write(''.join(' %x' % target for target in targets))
            out.write(chr(10))

look(path)
'''


def record(prefix, parent, labeller):
    """Ask every other interpreter; keep what the parent has, too."""
    module = sys.modules.get('_interpreters') or sys.modules.get('_xxsubinterpreters')
    if module is None:
        return
    source = inspect.getsource(labeller) + LOOK
    lines = []
    for interpreter in module.list_all():
        number = int(interpreter[0] if isinstance(interpreter, tuple) else interpreter)
        if number == 0:
            continue
        path = '%s.inside.%d' % (prefix, number)
        failed = module.run_string(interpreter if not isinstance(interpreter, tuple) else number,
                                   'exec(%r, {"path": %r})' % (source, path))
        if failed is not None:
            raise RuntimeError('interpreter %d: %s' % (number, failed))
        lines += ['%d %s\n' % (number, line) for line in seen(path, parent)]
    with open(prefix + '.inside', 'w') as out:
        out.writelines(sorted(lines))


def seen(path, parent):
    """The lines of the objects that the parent has, as far as its own objects lead to them."""
    objects = {}
    todo = []
    with open(path) as found:
        for line in found:
            facts, _, targets = line.rstrip('\n').rpartition(':')
            address, kind, size, tracked, listed, own, label = facts.split(' ', 6)
            if parent.has(int(address, 16), int(kind, 16)):
                objects[address] = ('%s %s %s %s %s:%s' % (address, size, tracked, own, label, targets), targets.split())
                if listed == '1':
                    todo.append(address)
    lines = []
    while todo:
        line, targets = objects.pop(todo.pop(), (None, ()))
        if line is not None:
            lines.append(line)
            todo += targets
    return lines
