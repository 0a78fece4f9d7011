"""Objects that own memory outside of themselves, and what Python itself says of them.

Prints READY and the process id, then one line of JSON: a list of objects with the buffers that
`heapattach buffers` must list for each and what is installed, the name of a file with the allocator's numbers, and
a dot when that is written. Then it waits.
"""
import array
import ctypes
import io
import json
import mmap
import os
import pickle
import sys
import tempfile


class PyBuffer(ctypes.Structure):
    """Py_buffer, Include/cpython/object.h."""
    _fields_ = [('buf', ctypes.c_void_p), ('obj', ctypes.c_void_p), ('len', ctypes.c_ssize_t),
                ('itemsize', ctypes.c_ssize_t), ('readonly', ctypes.c_int), ('ndim', ctypes.c_int),
                ('rest', ctypes.c_void_p * 6)]


def extent(exporter):
    """Address and length of what an object exports, by the buffer protocol."""
    view = PyBuffer()
    api = ctypes.pythonapi
    api.PyObject_GetBuffer(ctypes.py_object(exporter), ctypes.byref(view), 0)
    found = (view.buf, view.len)
    api.PyBuffer_Release(ctypes.byref(view))
    return found


KEEP = []
EXPECTED = []
INSTALLED = []


def expect(thing, role, address, size, **more):
    """`more`: owner (an object), counted, slack (bytes that may be allocated besides)."""
    KEEP.append(thing)
    owner = more.pop('owner', None)
    EXPECTED.append(dict(more, object=id(thing), type=type(thing).__name__, role=role, address=address, bytes=size,
                         owner=None if owner is None else id(owner), getsizeof=sys.getsizeof(thing)))


def standard():
    """Types of the standard library."""
    anonymous = mmap.mmap(-1, 1 << 20)
    expect(anonymous, 'owner', *extent(anonymous), counted=False)
    with tempfile.TemporaryFile() as file:
        file.write(b'x' * 300_000)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    expect(mapped, 'owner', *extent(mapped), counted=False)
    closed = mmap.mmap(-1, 4096)
    closed.close()
    expect(closed, None, 0, 0)
    numbers = array.array('d', range(10_000))
    expect(numbers, 'owner', *extent(numbers), counted=True, slack=100_000)
    data = bytearray(500_000)
    expect(data, 'owner', *extent(data), counted=True, slack=1)
    view = memoryview(data)[100:2000]
    expect(view, 'view', *extent(view), owner=data, counted=True)
    map_view = memoryview(anonymous)[4096:8192]
    expect(map_view, 'view', *extent(map_view), owner=anonymous, counted=False)
    released = memoryview(data)
    released.release()
    expect(released, None, 0, 0)
    text = ctypes.create_string_buffer(200_000)
    expect(text, 'owner', ctypes.addressof(text), 200_000, counted=False)
    expect(ctypes.c_int(5), None, 0, 0)
    borrowed = (ctypes.c_char * 1000).from_buffer(data, 50)
    expect(borrowed, 'view', ctypes.addressof(borrowed), 1000, owner=data, counted=True)
    if hasattr(pickle, 'PickleBuffer'):       # 3.8 on
        picked = pickle.PickleBuffer(data)
        expect(picked, 'view', *extent(picked), owner=data, counted=True)
    kept = b'abc' * 10_000
    KEEP.append(kept)
    stream = io.BytesIO(kept)
    expect(stream, 'view', extent(kept)[0], len(kept), owner=kept, counted=True)
    letters = io.StringIO()
    letters.write('abc' * 10_000)
    letters.seek(0)
    letters.write('x')
    expect(letters, 'owner', None, 120_000, counted=False, slack=40_000)


def arrays():
    """numpy's arrays, views and arrays over foreign memory; pandas."""
    import numpy
    INSTALLED.append('numpy ' + numpy.__version__)

    def place(thing):
        return thing.__array_interface__['data'][0], thing.nbytes

    owned = numpy.arange(100_000, dtype='f8').reshape(100, 1000)
    base = owned.base
    expect(base, 'owner', *place(base), counted=True)
    expect(owned, 'view', *place(owned), owner=base, counted=True)
    part = owned[10:20]
    expect(part, 'view', *place(part), owner=base, counted=True)
    for kind in ['u1', 'i4', 'f8', 'c16', 'S7', 'U3', 'M8[ns]', [('a', 'i4'), ('b', 'f8', (3,))], object]:
        typed = numpy.zeros(321, dtype=kind)
        expect(typed, 'owner', *place(typed), counted=True)
    anonymous = mmap.mmap(-1, 1 << 16)
    over = numpy.frombuffer(anonymous, dtype='u1')
    # Its base is the memoryview of the map that numpy made.
    expect(over, 'view', *place(over), counted=False)
    KEEP.append(anonymous)
    constant = b'q' * 9999
    of_bytes = numpy.frombuffer(constant, dtype='u1')
    expect(of_bytes, 'view', *place(of_bytes), owner=constant, counted=True)
    expect(numpy.empty((0, 5)), None, 0, 0)
    if hasattr(numpy, 'dtypes') and hasattr(numpy.dtypes, 'StringDType'):
        texts = numpy.array(['a', 'b' * 100], dtype=numpy.dtypes.StringDType())
        expect(texts, 'owner', *place(texts), counted=True)
    try:
        import pandas
    except ImportError:
        return
    INSTALLED.append('pandas ' + pandas.__version__)
    frame = pandas.DataFrame({'a': numpy.arange(5000.0), 'b': numpy.arange(5000.0)})
    KEEP.append(frame)
    for block in frame._mgr.blocks:
        values = block.values
        address, size = place(values)
        expect(block, 'view', address, size, owner=values, counted=True)
    index = pandas.Index(numpy.arange(0, 30_000, 3))
    index.get_loc(300)
    KEEP.append(index)
    table = pandas._libs.hashtable.Int64HashTable(1000)
    table.set_item(1, 1)
    expect(table, 'owner', None, table.sizeof(), counted=False, several=True)


def arrow():
    """pyarrow's buffers: shared by arrays, chunks, tables."""
    import numpy
    import pyarrow
    INSTALLED.append('pyarrow ' + pyarrow.__version__)
    plain = pyarrow.allocate_buffer(12_345)
    expect(plain, 'shared', plain.address, plain.size, counted=False)
    piece = plain.slice(10, 100)
    expect(piece, 'view', piece.address, piece.size, owner=plain, counted=False)
    constant = b'z' * 5000
    KEEP.append(constant)
    foreign = pyarrow.py_buffer(constant)
    expect(foreign, 'view', foreign.address, foreign.size, owner=constant, counted=True)

    def buffers(thing):
        return [(one.address, one.size) for one in thing.buffers() if one is not None]

    numbers = pyarrow.array(list(range(5000)) + [None])
    words = pyarrow.array(['abc'] * 5001)
    nested = pyarrow.array([{'p': 1, 'q': ['x', 'y']}] * 400)
    coded = pyarrow.array(['a', 'b'] * 300).dictionary_encode()
    for thing in (numbers, words, nested, coded):
        KEEP.append(thing)
        found = buffers(thing)
        if thing is coded:
            found += buffers(coded.dictionary)
        EXPECTED.append({'object': id(thing), 'type': type(thing).__name__, 'all': found})
    chunks = pyarrow.chunked_array([numbers, numbers.slice(3)])
    table = pyarrow.table({'x': numbers, 'y': words})
    batch = pyarrow.record_batch({'x': nested})
    for thing, parts in ((chunks, [numbers]), (table, [numbers, words]), (batch, [nested])):
        KEEP.append(thing)
        found = sorted({one for part in parts for one in buffers(part)})
        EXPECTED.append({'object': id(thing), 'type': type(thing).__name__, 'all': found})
    source = numpy.arange(7000.0)
    over = pyarrow.array(source)
    KEEP.append(source)
    expect(over, 'view', source.__array_interface__['data'][0], source.nbytes, owner=source, counted=True)
    # Its __sizeof__ counts what it only looks at; heapattach says that it does not know it.
    del EXPECTED[-1]['getsizeof']


def tensors():
    """torch's tensors on the CPU, which share storages."""
    import numpy
    import torch
    INSTALLED.append('torch ' + torch.__version__)

    def expect_tensor(tensor, role='shared', **more):
        storage = tensor.untyped_storage()
        expect(tensor, role, storage.data_ptr(), storage.nbytes(), counted=more.pop('counted', False), **more)
        # Its __sizeof__ is written in Python; heapattach says that it does not know it.
        del EXPECTED[-1]['getsizeof']

    whole = torch.arange(100_000, dtype=torch.float64)
    assert whole.data_ptr() == whole.untyped_storage().data_ptr()
    expect_tensor(whole)
    for view in (whole[10:20], whole.reshape(100, 1000).T, whole.view(torch.int32), whole.expand(3, 100_000)):
        expect_tensor(view)
    for kind in (torch.uint8, torch.bfloat16, torch.complex64, torch.bool):
        expect_tensor(torch.zeros(3, 333, dtype=kind))
    expect_tensor(torch.nn.Parameter(torch.rand(50, 60)))
    layer = torch.nn.Linear(64, 32)
    KEEP.append(layer)
    result = layer(torch.rand(8, 64))
    result.sum().backward()
    for tensor in (layer.weight, layer.bias, layer.weight.grad, result):
        expect_tensor(tensor)
    storage = whole.untyped_storage()
    expect(storage, 'shared', storage.data_ptr(), storage.nbytes(), counted=False)
    del EXPECTED[-1]['getsizeof']
    expect_tensor(torch.rand(1000).share_memory_())
    source = numpy.arange(7000.0)
    KEEP.append(source)
    expect_tensor(torch.from_numpy(source), 'view', owner=source, counted=True)
    part = source[100:200]
    expect_tensor(torch.from_numpy(part), 'view', counted=True)
    constant = bytearray(9000)
    KEEP.append(constant)
    expect_tensor(torch.frombuffer(constant, dtype=torch.uint8), 'view', owner=constant, counted=True)
    for nothing in (torch.empty(0), torch.empty(5, 5, device='meta'), torch.eye(4).to_sparse()):
        expect(nothing, None, 0, 0)
        del EXPECTED[-1]['getsizeof']


def allocator(file):
    """Numbers of pymalloc, as the interpreter prints them; whoever started us reads them, as that needs memory."""
    before = os.dup(2)
    os.dup2(file.fileno(), 2)
    sys._debugmallocstats()
    os.dup2(before, 2)


def main():
    """Makes them all and waits."""
    standard()
    for more in (arrays, arrow, tensors):
        try:
            more()
        except ImportError:
            pass
    said = {'objects': EXPECTED, 'installed': INSTALLED}
    print('READY', os.getpid())
    print(json.dumps(said), flush=True)
    with tempfile.NamedTemporaryFile() as file:
        print(file.name, flush=True)
        allocator(file)
        os.write(1, b'.\n')
        sys.stdin.read()


main()
