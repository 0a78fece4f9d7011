"""The in-process oracle: writes down what a program's heap is, as the program itself can see it.

A scenario calls `oracle.wait()` when its heap is built.  Without the environment variable
HEAPATTACH_ORACLE that prints `READY <pid>` and sleeps.  With it, everything below is first
computed in a forked child, whose objects have the same addresses; the parent stays as it was
(no dictionary materialised, no garbage collected, guppy not even imported), so that a reader of
the parent's memory must find exactly what the child wrote down.

    HEAPATTACH_ORACLE=PREFIX        write PREFIX.json, PREFIX.nodes, PREFIX.gcnodes, PREFIX.refs
    HEAPATTACH_ORACLE_MODE=MODE     forklate (default)  guppy is imported in the child only
                                    fork                guppy is imported, and hpy() made, before the program
                                    inline              as fork, and heap() is run in the parent as well:
                                                        every instance dictionary is materialised

The child's own work makes objects too.  They are told apart exactly: the parent's memory is read
(it waits), and an object of the child counts only if the parent has a live object of the same
type at the same address.  heap() is then computed once more *around* everything that is new, so
that an object which is only visible because guppy's modules refer to it does not count either.

The JSON has heap().byrcs and heapu() as well (see referrers.py).

Files (addresses in hexadecimal, sorted; type and clodo are indexes into `labels` in the JSON):

    .nodes    address size type clodo origin owner    one line per object of heapy's heap(); size -1: not known
              origin: `memory`; `dict`: the instance dictionary that heapy would have made for the
              object at `owner`; `frame`: the frame object that it would have made for the
              interpreter frame at `owner`
    .gcnodes  address size type clodo tracked         closure of gc.get_objects() under
              gc.get_referents(), and what the scenario named with `named()`; clodo by heapy's
              rules, which are written down here once more, as guppy is not there for every version
    .refs     address: address ...                    gc.get_referents() of every one of these
    .inside   what other interpreters see, if there are any (see inside.py)
    .tracked  address                                 gc.get_objects() after a collection

It needs Linux, x86-64 or aarch64, and a CPython 3.6 to 3.15; without a global lock guppy3 cannot be had.
"""
import gc
import os
import signal
import sys

if os.environ.get('HEAPATTACH_ORACLE'):
    import ctypes

    PREFIX = os.environ['HEAPATTACH_ORACLE']
    MODE = os.environ.get('HEAPATTACH_ORACLE_MODE', 'forklate')
    # The C function and not os.fork(): that one runs Python code in the child and forgets the
    # states of the other threads.
    fork = ctypes.PyDLL(None).fork
else:
    PREFIX = None
    MODE = None

VERSION = sys.version_info[:3]
# gh-122695: the module traverse of _asyncio visits dead objects of a free list, and taking
# references to them corrupts it (3.12.0 to 3.12.5).
ASYNCIO_TRAVERSE_IS_BROKEN = (3, 12, 0) <= VERSION < (3, 12, 6)
MANAGED_DICT = 1 << 4
FREE_THREADED = 't' in getattr(sys, 'abiflags', '')
HEAP_TYPE = 1 << 9
TYPE_FLAGS = 184 if FREE_THREADED else 168         # PyTypeObject.tp_flags
OBJECT_HEADER = 32 if FREE_THREADED else 16        # sizeof(PyObject)
HAS_MANAGED_DICTS = VERSION >= (3, 11)
HAS_OPCODE_CACHES = (3, 8) <= VERSION < (3, 11)
CODE = type((lambda: None).__code__)

NAMED = []
GUPPY = None
if MODE in ('fork', 'inline'):
    try:
        from guppy import hpy
        GUPPY = hpy()
        GUPPY.heap()
        GUPPY._parent.View.clear_retainers()
    except ImportError:
        pass


def named(obj):
    """Expect `obj` in the complete view although no garbage-collected object leads to it."""
    NAMED.append((id(obj), sys.getsizeof(obj), labeller()(type(obj))))
    return obj


def wait():
    """Record the heap if asked to, say READY, and sleep until a signal ends the process.

    It has no local variable and leaves nothing behind: the parent sleeps in this very frame.
    """
    if PREFIX is not None:
        signal.alarm(600)                   # whoever started it may be gone
        if MODE == 'inline' and GUPPY is not None and not (ASYNCIO_TRAVERSE_IS_BROKEN and '_asyncio' in sys.modules):
            GUPPY.heap()
            GUPPY._parent.View.clear_retainers()
        gc.disable()                        # a collection after the fork would untrack tuples on one side only
        if fork() == 0:
            in_child()
        if os.waitpid(-1, 0)[1] != 0:
            os._exit(3)
    os.write(1, b'READY %d\n' % os.getpid())
    while True:
        signal.pause()


# ---- everything below runs in the child only ---------------------------------------------------

def in_child():
    """Write all files and exit; never returns."""
    code = 1
    try:
        record(sys._getframe(1))
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(code)


def record(waiting):
    """Write all files; `waiting` is the frame in which the parent sleeps."""
    write_tracked()
    heap = {}                # address: object; also keeps every object alive, so that no address is used twice
    facts = {}               # address: (size, whether tracked, addresses of the referents)
    closure(heap, facts)     # before anything is imported or opened, which makes and changes objects
    owned = dict_owners(heap)
    owners = materialise(heap)
    import json
    import time
    parent = ParentMemory()
    labels = Labels()
    sizes = write_closure(heap, facts, owned, parent, labels)
    import inside
    inside.record(PREFIX, parent, labeller)
    summary = {
        'python': sys.version, 'hexversion': sys.hexversion, 'pid': os.getppid(), 'mode': MODE, 'argv': sys.argv,
        'freeze_count': gc.get_freeze_count() if VERSION >= (3, 7) else 0, 'gc_objects': len(sizes), 'heapy': None,
    }
    started = time.time()
    try:
        import guppy
        summary['guppy'] = guppy.__version__
    except ImportError:
        summary['guppy'] = None
    else:
        heapy = Heapy(waiting, parent, owners, heap, facts)
        summary['heapy'] = heapy.write(labels, sizes)
        import referrers
        with open(PREFIX + '.tracked') as file:
            tracked = set(int(line, 16) for line in file)
        unsafe = sys.modules.get('_asyncio') if ASYNCIO_TRAVERSE_IS_BROKEN else None
        graph = referrers.Graph(heapy, referents, unsafe, waiting)
        summary['heapy'].update(referrers.answers(heapy, heapy.known, heapy.size_of, tracked, graph))
        summary['heapy']['seconds'] = time.time() - started
    summary['labels'] = labels.names
    with open(PREFIX + '.json', 'w') as out:
        json.dump(summary, out, indent=1, sort_keys=True)
        out.write('\n')


def write_tracked():
    """Write .tracked: what gc.get_objects() gives after the three collections that heap() and heapu() make.

    A child of its own does it, for collecting changes the heap.
    """
    child = fork()
    if child == 0:
        code = 1
        try:
            for _ in range(3):
                gc.collect()
            objects = gc.get_objects()
            with open(PREFIX + '.tracked', 'w') as out:
                for obj in objects:
                    out.write('%x\n' % id(obj))
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError('the collection failed')


class Labels(object):
    """Numbers for labels."""

    def __init__(self):
        self.names = []
        self.numbers = {}

    def number(self, label):
        number = self.numbers.get(label)
        if number is None:
            number = self.numbers[label] = len(self.names)
            self.names.append(label)
        return number


def closure(heap, facts):
    """Fill `heap` and `facts` with all that gc.get_objects() leads to.

    The size of an object is asked for before its referents are held: BytesIO's depends on whether
    its buffer is shared.
    """
    todo = gc.get_objects()
    skip = {id(heap), id(facts), id(todo)}
    skip.add(id(skip))
    if not HAS_MANAGED_DICTS:          # before 3.11 frames are tracked objects: leave out our own
        frame = sys._getframe()
        while frame.f_code is not wait.__code__:
            skip.add(id(frame))
            frame = frame.f_back
    frame = None
    while todo:
        obj = todo.pop()
        if id(obj) in heap or id(obj) in skip or type(obj).__name__ == 'Gchook_type':    # guppy counts its references
            continue
        try:
            size = sys.getsizeof(obj)
        except Exception:
            size = -1                   # a __sizeof__ that raises, written in Python
        size -= opcode_cache(obj, word)
        found = referents(obj)
        facts[id(obj)] = (size, gc.is_tracked(obj), tuple(sorted(set(id(target) for target in found))))
        heap[id(obj)] = obj
        todo += found


def referents(obj):
    if ASYNCIO_TRAVERSE_IS_BROKEN and type(obj) is type(sys) and obj.__name__ == '_asyncio':
        found = gc.get_referents(obj)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))         # never freed: that is what does the harm
        return [target for target in found if type(target).__name__ != 'FutureIter']
    return gc.get_referents(obj)


def opcode_cache(obj, read):
    """What the cache of a function that is called often adds to its code's size, in the memory read:
    the child calls some until they get one (3.8 to 3.10: co_opcache at 160, co_opcache_size at 172)."""
    if not HAS_OPCODE_CACHES or type(obj) is not CODE or not read(id(obj) + 160):
        return 0
    return len(obj.co_code) // 2 + 32 * (read(id(obj) + 168) >> 32 & 255)


def word(address):
    return ctypes.c_uint64.from_address(address).value


def dict_owners(heap):
    """{address of a dictionary: type of the object whose `__dict__` it is}, by heapy's rule (ByClassOrDictOwner).

    Owners are what gc.get_objects() has, which leaves out what is frozen, and the static types; of
    several the one at the lowest address.
    """
    types = [object]
    for kind in types:
        types += [found for found in type.__subclasses__(kind) if found not in types]
    candidates = [kind for kind in types if not word(id(kind) + TYPE_FLAGS) & HEAP_TYPE]
    candidates += [obj for obj in gc.get_objects() if id(obj) in heap]
    owned = {}
    for owner in sorted(candidates, key=id, reverse=True):
        dictionary = own_dictionary(owner)
        if dictionary in heap and type(heap[dictionary]) is dict:
            owned[dictionary] = type(owner)
    return owned


def own_dictionary(owner):
    """The address of an object's dictionary, or 0; makes none."""
    kind = type(owner)
    if HAS_MANAGED_DICTS and word(id(kind) + TYPE_FLAGS) & MANAGED_DICT:
        found = word(id(owner) - (8 if FREE_THREADED else 24))      # MANAGED_DICT_OFFSET
        return 0 if found & 1 else found                # 3.12: that bit marks values without a dictionary
    offset = kind.__dictoffset__
    if offset < 0:
        size = kind.__basicsize__ + abs(word_signed(id(owner) + (32 if FREE_THREADED else 16))) * kind.__itemsize__
        offset += (size + 7) // 8 * 8
    return word(id(owner) + offset) if offset else 0


def word_signed(address):
    return ctypes.c_int64.from_address(address).value


def materialise(heap):
    """Make every instance dictionary as heapy will, before anything changes what it would be.

    Gives {address of the dictionary: (address of its owner, size)}.
    """
    owners = {}
    if not HAS_MANAGED_DICTS or FREE_THREADED:      # there is no guppy3 for free-threaded builds
        return owners
    # By addresses: a py_object would be taken for what it holds, and every one that is made here takes an attribute's
    # place from the dictionaries of all.
    dict_pointer, object_at = ctypes.pythonapi._PyObject_GetDictPtr, ctypes.pythonapi.Py_NewRef
    dict_pointer.argtypes = object_at.argtypes = [ctypes.c_void_p]
    dict_pointer.restype, object_at.restype = ctypes.c_void_p, ctypes.py_object
    managed = {}
    for address, obj in list(heap.items()):
        kind = type(obj)
        if kind not in managed:
            managed[kind] = bool(word(id(kind) + TYPE_FLAGS) & MANAGED_DICT)
        if managed[kind]:
            slot = dict_pointer(address)
            dictionary = slot and word(slot)
            if dictionary and dictionary not in heap:
                size = sys.getsizeof(object_at(dictionary))
                owners[dictionary] = (address, size)
    return owners


def write_closure(heap, facts, owned, parent, labels):
    """Write .gcnodes and .refs; gives the sizes by address."""
    name = labeller()
    sizes = {}
    nodes = []
    edges = []
    for address in sorted(heap):
        kind = type(heap[address])
        # A dictionary may have got an entry in the child: what is new may lie where the parent has something else.
        if parent.has(address, id(kind)) and parent.has_value(heap[address]):
            size, tracked, targets = facts[address]
            size += opcode_cache(heap[address], parent.word)
            sizes[address] = size
            label = clodo = labels.number(name(kind))
            if kind is dict:
                owner = owned.get(address)
                clodo = labels.number('dict of ' + name(owner) if owner else 'dict (no owner)')
            nodes.append('%x %d %d %d %d\n' % (address, size, label, clodo, tracked))
            edges.append('%x:%s\n' % (address, ''.join(' %x' % target for target in targets)))
    for address, size, label in sorted(NAMED):
        if address not in sizes:
            nodes.append('%x %d %d -1 -1\n' % (address, size, labels.number(label)))
    with open(PREFIX + '.gcnodes', 'w') as out:
        out.writelines(nodes)
    with open(PREFIX + '.refs', 'w') as out:
        out.writelines(edges)
    return sizes


def labeller():
    """heapy's names for types (guppy/heapy/UniSet.py, Classifiers.py), without guppy."""
    import builtins
    import types
    special = {}
    for prefix, namespace in (('types.', types.__dict__), ('', builtins.__dict__)):
        for key in sorted(namespace):
            if isinstance(namespace[key], type):
                special[namespace[key]] = prefix + key
    special[types.ModuleType] = 'module'
    special[types.FunctionType] = 'function'

    def label(kind):
        found = special.get(kind)
        if found is None:
            module = getattr(kind, '__module__', None)
            if module is None and not hasattr(kind, '__module__'):
                module = '<unknown module>'
            found = special[kind] = '%s.%s' % (module, kind.__name__)
        return found
    return label


def is_ascii(text):
    return text.isascii() if VERSION >= (3, 7) else len(text.encode('utf-8', 'surrogatepass')) == len(text)


class ParentMemory(object):
    """The waiting parent's memory: which of the child's objects were there before."""

    POOL = 4096 if VERSION < (3, 10) else 16384
    POOL_HEADER = 48

    def __init__(self):
        import bisect
        import struct
        self.search = bisect.bisect_right
        self.unpack = struct.Struct('<Q').unpack_from
        self.unpack_two = struct.Struct('<QQ').unpack_from
        self.starts = []
        self.pieces = []
        self.pools = {}
        pid = os.getppid()
        memory = os.open('/proc/%d/mem' % pid, os.O_RDONLY)
        with open('/proc/%d/maps' % pid) as maps:
            lines = maps.readlines()
        for line in lines:
            span, permissions = line.split()[:2]
            if not permissions.startswith('rw') or '[v' in line:
                continue
            start, end = (int(text, 16) for text in span.split('-'))
            data = self.read(memory, start, end)
            if data and self.pieces and start == self.starts[-1] + len(self.pieces[-1]):
                self.pieces[-1] += data         # an object may lie across the border
            elif data:
                self.starts.append(start)
                self.pieces.append(data)
        os.close(memory)

    @staticmethod
    def read(memory, start, end):
        data = bytearray()
        while start + len(data) < end:
            try:
                piece = os.pread(memory, min(1 << 24, end - start - len(data)), start + len(data))
            except OSError:
                break
            if not piece:
                break
            data += piece
        return data

    def word(self, address):
        index = self.search(self.starts, address) - 1
        if index < 0:
            return None
        at = address - self.starts[index]
        data = self.pieces[index]
        if at + 8 > len(data):
            return None
        return self.unpack(data, at)[0]

    def has(self, address, kind):
        """Whether a live object of the type at `kind` is at `address`."""
        if FREE_THREADED:
            # ob_gc_bits@11, ob_ref_local@12, ob_ref_shared@16, ob_type@24; a freed object keeps them, both counts zero.
            counts = self.word(address + 8), self.word(address + 16)
            return self.word(address + 24) == kind and (counts[0] >> 32 != 0 or counts[1] >> 2 != 0 or bool(counts[0] >> 24 & 1))
        index = self.search(self.starts, address) - 1
        if index < 0 or address + 16 > self.starts[index] + len(self.pieces[index]):
            return False
        count, found = self.unpack_two(self.pieces[index], address - self.starts[index])
        return found == kind and count & 0xffffffff != 0 and not self.is_link(count) and not self.is_free(address)

    @staticmethod
    def is_link(count):
        """Whether a reference count is the link to the next member of a free list, which keeps its type
        (Include/internal/pycore_freelist.h, 3.14): the count is 32 bits, and nothing is in the next 16."""
        return VERSION >= (3, 14) and count >> 32 & 0xffff != 0

    def has_value(self, obj):
        """Whether a str or a number is the same one: one that the collector cannot see may have died in the child,
        and its block may hold the next one."""
        if type(obj) in (int, float, complex):
            start = id(obj) + OBJECT_HEADER
            index = self.search(self.starts, start) - 1
            at = start - self.starts[index]
            value = ctypes.string_at(start, sys.getsizeof(obj) - OBJECT_HEADER)
            return self.pieces[index][at:at + len(value)] == value
        if type(obj) is not str or not is_ascii(obj):
            return True
        start = id(obj) + sys.getsizeof('') - 1             # of the characters of a compact ASCII str
        index = self.search(self.starts, start) - 1
        at = start - self.starts[index]
        return self.pieces[index][at:at + len(obj)] == obj.encode('ascii')

    def is_unchanged(self, obj):
        """Whether the child's object still has the words that the parent's has, past the reference count."""
        return all(self.word(id(obj) + at) == word(id(obj) + at) for at in range(8, type(obj).__basicsize__ - 7, 8))

    def is_free(self, address):
        """Whether `address` lies in a free block of a pymalloc pool (Objects/obmalloc.c)."""
        start = address & ~(self.POOL - 1)
        pool = self.pools.get(start)
        if pool is None:
            pool = self.pools[start] = self.read_pool(start)
        block, used, free = pool
        if not block:
            return False
        index = (address - start - self.POOL_HEADER) // block
        return index >= used or index in free

    def read_pool(self, start):
        """(block size or 0, number of carved blocks, indexes of the free ones) of a pool."""
        nothing = (0, 0, ())
        head = [self.word(start + 8 * index) for index in range(6)]
        if None in head:
            return nothing
        size_class, next_offset, last_offset = head[4] >> 32, head[5] & 0xffffffff, head[5] >> 32
        block = self.POOL - last_offset
        count = head[0] & 0xffffffff
        sizes = [(size_class + 1) * alignment for alignment in (8, 16)]         # 8: in releases up to 3.7.3
        if not 0 < block <= 512 or block not in sizes or next_offset > self.POOL:
            return nothing
        if (next_offset - self.POOL_HEADER) % block or not 0 < count <= self.POOL // block:
            return nothing
        carved = (next_offset - self.POOL_HEADER) // block
        free = set()
        at = head[1]
        while at:
            index, rest = divmod(at - start - self.POOL_HEADER, block)
            if rest or not 0 <= index < carved or index in free:
                return nothing
            free.add(index)
            at = self.word(at)
        return (block, carved, free) if carved - len(free) == count else nothing


class Heapy(object):
    """heapy's heap(), computed by guppy itself around everything that the child made."""

    def __init__(self, waiting, parent, owners, heap, facts):
        from guppy import hpy
        self.hp = GUPPY or hpy()
        self.is_late = GUPPY is None
        self.view = self.hp._parent.View
        self.view.hv.limitframe = waiting
        self.parent = parent
        self.owners = owners
        self.heap = heap
        self.facts = facts
        self.frames = {}
        self.old = {}           # address: object, of those that the parent has, and never changes
        others = [frame for frame in sys._current_frames().values() if frame is not sys._getframe()]
        for frame in [waiting] + others:        # what leads to a frame of another thread leads to its callers
            while frame is not None:
                self.frames[id(frame)] = frame
                frame = frame.f_back

    def origin(self, obj):
        """('memory', 0), ('dict', owner) or ('frame', interpreter frame); None for what the child made."""
        address = id(obj)
        if self.old.get(address) is obj:
            return ('memory', 0)
        if self.parent.has(address, id(type(obj))) and self.parent.has_value(obj):
            self.old[address] = obj
            return ('memory', 0)
        if HAS_MANAGED_DICTS and address in self.frames:
            return ('frame', word(address + 24))        # PyFrameObject.f_frame
        if type(obj) is dict and address in self.owners:
            return ('dict', self.owners[address][0])
        return None

    def late_owners(self, objects):
        """Instances that only heapy's own walk met have dictionaries, too."""
        for obj in objects:
            kind = type(obj)
            if kind is not dict and HAS_MANAGED_DICTS and word(id(kind) + TYPE_FLAGS) & MANAGED_DICT:
                dictionary = word(id(obj) - 24)         # MANAGED_DICT_OFFSET
                if dictionary and not dictionary & 1 and dictionary not in self.owners:
                    if self.parent.has(id(obj), id(kind)):
                        self.owners[dictionary] = (id(obj), None)

    def attached_later(self, known):
        """Old objects to which old objects refer only since guppy was imported.

        importlib, for one, gives the frozen modules of the import system their attributes when
        it is imported itself.
        """
        before = set()
        for obj in known:
            before.update(self.facts.get(id(obj), (0, 0, ()))[2])
        later = {}
        for obj in known:
            if id(obj) in self.facts:
                for target in referents(obj):
                    if id(target) not in before and target in known and self.origin(target) == ('memory', 0):
                        later[id(target)] = target
        if later:
            # The collector does not see all that heapy sees: what code objects and types refer to.
            for obj in known:
                if id(obj) not in self.facts or type(obj) is type(wait.__code__) or isinstance(obj, type):
                    for target in self.view.hv.relimg([obj]):
                        later.pop(id(target), None)
        return list(later.values())

    def nodes(self):
        """The objects of heap() that the parent has, or would have after its own heap()."""
        hv = self.view.hv
        start = [self.view.heapyc.RootState]
        outside = []
        module = sys.modules.get('_asyncio')
        if ASYNCIO_TRAVERSE_IS_BROKEN and module is not None:
            outside.append(module)
            start += referents(module)
            known = hv.reachable(self.view.immnodeset(start), self.view.immnodeset(outside))
            hv.root = [object]
            hv.heap()                                   # so that it does not look for static types itself
            hv.root = self.view.heapyc.RootState
            for obj in known:
                if isinstance(obj, type) and not word(id(obj) + TYPE_FLAGS) & HEAP_TYPE:
                    hv.static_types.add(obj)
        else:
            known = hv.heap()
        new = self.view.mutnodeset(outside)
        known = self.old_ones(known, known, start, new)
        detached = self.detached_since(known)
        if detached:
            start += detached
            possible = known | hv.reachable(self.view.immnodeset(detached), new)
            known = self.old_ones(possible, possible, start, new)
        return known | self.view.immnodeset(outside)

    def old_ones(self, known, possible, start, new):
        """What of `known` is reached from `start` around what the child made, which is added to `new`."""
        while True:
            self.late_owners(known)
            made = [obj for obj in known if self.origin(obj) is None] or self.attached_later(known)
            if not made:
                return known
            for obj in made:
                new.add(obj)
            del made
            # `reachable` goes through what guppy hides of itself, heap() does not.
            known = possible & self.view.hv.reachable(self.view.immnodeset(start), new)

    def detached_since(self, known):
        """Old objects to which a visible object referred before guppy was imported, and no longer does.

        Every class that is registered with an abstract one empties the caches of all the others; the import
        system looks into a folder again that has changed.
        """
        detached = {}
        for obj in known:
            fact = self.facts.get(id(obj))
            if fact is not None and id(obj) not in self.frames:
                lost = [address for address in fact[2] if address in self.heap and self.heap[address] not in known]
                if lost:
                    for address in set(lost).difference(id(target) for target in referents(obj)):
                        detached[address] = self.heap[address]
        return list(detached.values())

    def size_of(self, obj):
        """The size that heapy would give in the parent; -1: not known."""
        origin, _ = self.origin(obj)
        size = self.sizes.get(id(obj), -1)
        if origin == 'dict':
            size = self.owners[id(obj)][1]
        if size is None or size < 0:
            # A dictionary that only heapy sees may have grown since: of subclasses, say.
            known = not isinstance(obj, (dict, list, set)) or origin != 'memory' or self.parent.is_unchanged(obj)
            size = self.hp.Size.classifier.get_cli().classify(obj) if known else -1
            size += opcode_cache(obj, self.parent.word) - opcode_cache(obj, word)
        return size

    def write(self, labels, sizes):
        """Write .nodes; gives the totals."""
        nodes = self.known = self.nodes()
        self.sizes = sizes
        types = {}
        clodo = {}
        chosen = self.view.idset(nodes)
        for into, partition in ((clodo, chosen.partition), (types, chosen.bytype.partition)):
            for row in partition.get_rows():
                number = labels.number(row.name)
                for obj in row.set.nodes:
                    into[id(obj)] = number
        lines = []
        total = 0
        for obj in nodes:
            address = id(obj)
            origin, owner = self.origin(obj)
            size = self.size_of(obj)
            total += max(size, 0)
            lines.append((address, '%x %d %d %d %s %x\n' % (address, size, types[address], clodo[address], origin, owner)))
        lines.sort()
        with open(PREFIX + '.nodes', 'w') as out:
            out.writelines(line for _, line in lines)
        return {'count': len(lines), 'size': total}
