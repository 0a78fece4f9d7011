"""Objects of extension modules: one or more of each type that programs hold."""
import array
import cProfile
import codecs
import contextlib
import copyreg
import csv
import ctypes
import datetime
import decimal
import hashlib
import hmac
import io
import json
import logging
import mmap
import operator
import os
import pickle
import queue
import random
import re
import select
import selectors
import socket
import sqlite3
import ssl
import string
import struct
import sys
import tempfile
import threading
import time
import unicodedata
import uuid
import xml.dom.minidom
import xml.etree.ElementTree
import xml.parsers.expat
import zlib

try:
    import contextvars
except ImportError:         # 3.7 on
    contextvars = None

import ready

try:
    import bz2
    import lzma
except ImportError:
    bz2 = lzma = None
try:
    from compression import zstd
except ImportError:
    zstd = None

keep = []

# io
keep += [io.BytesIO(b'x' * 1000), io.BytesIO(), io.StringIO('text'), io.StringIO(), io.BufferedReader(io.BytesIO(b'123')),
         io.BufferedWriter(io.BytesIO()), io.BufferedRandom(io.BytesIO(b'ab')), io.BufferedRWPair(io.BytesIO(), io.BytesIO()),
         io.TextIOWrapper(io.BytesIO(b'line\nline\n'), encoding='utf-8'), open(os.devnull), open(os.devnull, 'rb'),
         open(os.devnull, 'wb', 0), open(__file__, encoding='latin-1', newline=''), io.IncrementalNewlineDecoder(None, True)]
keep[4].peek()
keep[8].readline()
keep[12].readline()
keep[0].getbuffer()
keep[2].write('more')
exported = keep[0].getbuffer()
keep[5].attribute = ['of a file']
temporary = tempfile.TemporaryFile()
temporary.write(b'abc')
keep.append(codecs.getreader('utf-8')(io.BytesIO(b'abc')))
keep += [codecs.lookup('utf-8'), codecs.getincrementaldecoder('utf-8')(), codecs.getincrementalencoder('shift_jis')()]

# dates
zone = datetime.timezone(datetime.timedelta(hours=3), 'a zone')


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(0)


class Moment(datetime.datetime):
    pass


keep += [datetime.datetime.now(), datetime.datetime.now(zone), datetime.datetime.now(datetime.timezone.utc), datetime.date.today(),
         datetime.timedelta(1, 2, 3), datetime.time(), datetime.time(1, tzinfo=zone), Zone(), datetime.datetime(2000, 1, 1, tzinfo=Zone()),
         Moment(2000, 1, 1), Moment(2000, 1, 1, tzinfo=zone), time.localtime(), os.stat('/'), os.times(), os.uname()]
try:
    import zoneinfo
    keep.append(zoneinfo.ZoneInfo('Europe/Berlin'))
except Exception:
    pass

# numbers and text tools
keep += [decimal.Decimal('1' * 200), decimal.Context(prec=5, traps=[decimal.Inexact]), decimal.localcontext(), random.Random(5),
         random.SystemRandom(), struct.Struct('iiq'), struct.Struct('<3s2xH'), re.compile('a(b)(?P<name>c)'),
         re.compile(b'bytes'), re.match('a(.)(x)?', 'abc'), re.compile('x').scanner('xyx'), string.Template('$x'),
         hashlib.md5(b'x'), hashlib.sha256(b'x'), hashlib.blake2b(b'x'), hashlib.sha3_256(), hmac.new(b'k', b'x', 'sha1'),
         zlib.compressobj(), zlib.decompressobj(), unicodedata.ucd_3_2_0, uuid.uuid4(), operator.itemgetter('x')]
if bz2:
    keep += [bz2.BZ2Compressor(), bz2.BZ2Decompressor(), lzma.LZMACompressor(), lzma.LZMADecompressor()]
for module, decompressor in ((zlib, zlib.decompressobj), (bz2, getattr(bz2, 'BZ2Decompressor', None)),
                             (lzma, getattr(lzma, 'LZMADecompressor', None)), (zstd, getattr(zstd, 'ZstdDecompressor', None))):
    if module:
        # At its end with something left over; and in the middle, with input that it holds back.
        ended, amid = decompressor(), decompressor()
        ended.decompress(module.compress(b'a text' * 50) + b'left over by ' + module.__name__.encode())
        amid.decompress(module.compress(os.urandom(5000))[:4000], 10)
        keep += [ended, ended.unused_data, amid]
if zstd:
    samples = [b'a sample with number %d in it' % number for number in range(1000)]
    dictionary = zstd.train_dict(samples, 500)
    keep += [dictionary, zstd.ZstdCompressor(zstd_dict=dictionary), zstd.ZstdDecompressor(zstd_dict=dictionary)]
    keep[-2].compress(b'a sample')
scanner = re.compile(rb'(x)|y').scanner(bytearray(b'xyxy'))
keep += [scanner, scanner.search(), re.compile('y').scanner('a text with y and y')]
keep[-1].search()


class Called(object):
    def method(self, *arguments, **keywords):
        return arguments, keywords


# What it needs for its vectorcall it makes when it is called (3.13 on).
caller = operator.methodcaller('method', ['positional'], ('another', 1), keyword={'a': 'dict'})
keep += [caller, caller(Called()), operator.methodcaller('method'), operator.methodcaller('not called', ['at all'], k=['word'])]
entered = decimal.localcontext(decimal.Context(prec=7))
entered.__enter__()
keep += [entered, decimal.getcontext()]
profile = cProfile.Profile(lambda: 0.5)
profile.runcall(len, 'abc')
keep.append(profile)
try:
    import _hmac
    keep.append(_hmac.new(b'key', b'text', 'md5'))
except ImportError:
    pass

# Codecs of several bytes: what cannot be written before the next character is known, and errors of one's own.
codecs.register_error('of the scenario', lambda error: ('?', error.end))
for encoding, beginning in (('euc_jis_2004', b'\xa4'), ('shift_jisx0213', b'\x82')):
    for errors in ('strict', 'of the scenario'):
        encoder = codecs.getincrementalencoder(encoding)(errors)
        writer = codecs.getwriter(encoding)(io.BytesIO(), errors)
        encoder.encode('\u304b')
        writer.write('\u304b')
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        decoder.decode(beginning)
        keep += [encoder, writer, decoder, codecs.getreader(encoding)(io.BytesIO(beginning), errors)]
packed = struct.pack('<10sH', b'x', 5)
list(struct.iter_unpack('<H', b'abcd'))
keep += [struct.iter_unpack('<H', b'abcd'), array.array('d', range(50)), iter(array.array('i', [1, 2]))]
keep += [json.JSONEncoder(), json.JSONDecoder(), json.decoder.scanner.make_scanner(json.JSONDecoder()), csv.reader(['a,b', 'c,d']),
         csv.writer(io.StringIO()), csv.DictReader(['a,b', '1,2']), csv.get_dialect('excel')]

# pickles
pickler = pickle.Pickler(io.BytesIO())
pickler.dump([{'a': [1, 2]}, (3, 'four')])
unpickler = pickle.Unpickler(io.BytesIO(pickle.dumps([[1], {'x': (2, 3)}] * 20)))
unpickler.load()
keep += [pickler, unpickler, pickler.memo, unpickler.memo, copyreg.dispatch_table]

# memory
area = mmap.mmap(-1, 8192)
keep += [area, memoryview(area), memoryview(array.array('i', range(10))), memoryview(b'abcdef')[::2]]


# ctypes
class Structure(ctypes.Structure):
    _fields_ = [('number', ctypes.c_int), ('text', ctypes.c_char_p), ('other', ctypes.c_void_p)]


class Union(ctypes.Union):
    _fields_ = [('a', ctypes.c_int), ('b', Structure)]


class Bits(ctypes.BigEndianStructure):
    _fields_ = [('a', ctypes.c_uint, 3), ('b', ctypes.c_uint, 5)]


class List(ctypes.Structure):
    pass


List._fields_ = [('next', ctypes.POINTER(List)), ('value', ctypes.py_object)]
callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
library = ctypes.CDLL(None)
getpid = library.getpid
getpid.argtypes = []
getpid()
first, second = List(), List()
first.value, second.value = ['py'], {'object': 1}
first.next = ctypes.pointer(second)
keep += [ctypes.c_int(5), (ctypes.c_int * 100)(), ctypes.pointer(ctypes.c_int(3)), ctypes.create_string_buffer(1000),
         ctypes.py_object([1]), Structure(1, b'hello'), Union(), Bits(1, 2), (Structure * 5)(), callback_type(lambda x: x),
         ctypes.cast(ctypes.c_char_p(b'text'), ctypes.c_void_p), ctypes.byref(ctypes.c_int(1)), library, getpid,
         ctypes.c_wchar_p('wide'), ctypes.c_double(1.5), (ctypes.c_char * 4).from_buffer(bytearray(4)), ctypes.POINTER(ctypes.c_long)()]

# XML
element = xml.etree.ElementTree.fromstring('<a x="1" y="2">t<b z="3">text</b>tail<c/><d/><e/><f/><g/></a>')
builder = xml.etree.ElementTree.TreeBuilder()
builder.start('tag', {'k': 'v'})
builder.data('text')
parser = xml.etree.ElementTree.XMLParser()
parser.feed('<open a="1"><inner>')
expat = xml.parsers.expat.ParserCreate()
expat.StartElementHandler = lambda name, attributes: None
expat.Parse('<x><y>')
child = expat.ExternalEntityParserCreate('context', 'utf-8')
child.CharacterDataHandler = ['called with text'].append


class Target(object):
    def start(self, tag, attributes):
        self.seen = tag

    def end(self, tag):
        pass

    def data(self, data):
        pass

    def comment(self, data):
        pass

    def close(self):
        return ['closed']


own_target = xml.etree.ElementTree.XMLParser(target=Target())
own_target.entity['known'] = 'entity'
own_target.feed('<!DOCTYPE d><open><!--c--><inner/>')
# Comments are events since 3.8.
EVENTS = ['start', 'end', 'start-ns'] + (['comment', 'pi'] if sys.version_info >= (3, 8) else [])
pulled = xml.etree.ElementTree.XMLPullParser(EVENTS)
pulled.feed('<a xmlns="of"><b/>')
interned = xml.parsers.expat.ParserCreate('utf-8', ' ', {'interned': 'text'})
interned.buffer_text = True
interned.Parse('<x xmlns="y">text')
keep += [child, own_target, pulled, interned, element, xml.etree.ElementTree.ElementTree(element), element.iter(), element.find('b').attrib, builder, parser, expat,
         xml.dom.minidom.parseString('<a b="c"><d>e</d></a>'), xml.etree.ElementTree.Element('empty')]

# databases
connection = sqlite3.connect(':memory:')
connection.row_factory = sqlite3.Row
connection.create_function('double', 1, lambda value: value * 2)
connection.execute('create table t (a, b)')
connection.executemany('insert into t values (?, ?)', [(number, 'row %d' % number) for number in range(50)])
cursor = connection.execute('select a, b, double(a) from t')
keep += [connection, cursor, cursor.fetchone(), cursor.fetchmany(5), connection.cursor()]
busy = sqlite3.connect(':memory:', isolation_level='IMMEDIATE', detect_types=sqlite3.PARSE_DECLTYPES)
busy.text_factory = ['not callable yet']
busy.text_factory = lambda data: data.decode()
# A method of a text: before 3.8 that of a list has no hash, which it needs here.
busy.set_trace_callback('traced'.join)
busy.set_progress_handler(lambda: 0, 1000)
busy.set_authorizer(lambda *arguments: sqlite3.SQLITE_OK)
busy.create_collation('backwards', lambda first, second: (first < second) - (first > second))
busy.create_aggregate('aggregate', 1, Called)
busy.execute('create table t (a text, b blob)')
busy.execute('insert into t values (?, zeroblob(100))', ['text'])
if hasattr(busy, 'blobopen'):
    keep.append(busy.blobopen('t', 'b', 1))
half_read = busy.execute('select a from t order by a collate backwards')
closed = sqlite3.connect(':memory:')
closed.execute('select 1')
closed.close()
keep += [busy, half_read, closed, sqlite3.PrepareProtocol()]

# network
left, right = socket.socketpair()
context = ssl.create_default_context()
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
logged = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
if sys.version_info >= (3, 7):
    logged.sni_callback = lambda *arguments: None
    logged._msg_callback = lambda *arguments: None
else:
    logged.set_servername_callback(lambda *arguments: None)
with contextlib.suppress(AttributeError, OSError, NotImplementedError):
    logged.keylog_filename = os.path.join(tempfile.mkdtemp(), 'of the keys')
    logged.set_psk_server_callback(lambda identity: b'', 'a hint')
keep.append(logged)
secured = context.wrap_bio(incoming, outgoing, server_hostname='localhost')
try:
    secured.do_handshake()
except ssl.SSLError:
    pass
selector = selectors.DefaultSelector()
selector.register(left, selectors.EVENT_READ, ['data'])
poll = select.poll()
poll.register(left)
keep += [left, right, context, incoming, outgoing, secured, selector, poll, left.makefile('rb')]

# threads' tools (no thread is started here)
if contextvars:
    variable = contextvars.ContextVar('variable', default=['default'])
    other = contextvars.ContextVar('other')
    token = variable.set(['set'])
    crowded = contextvars.copy_context()
    for number in range(100):
        crowded.run(contextvars.ContextVar('variable %d' % number).set, [number])
    keep += [variable, other, token, contextvars.copy_context(), crowded]
local = threading.local()
local.value = ['local']


class Local(threading.local):
    def __init__(self):
        self.value = {'own': 1}


subclassed = Local()
subclassed.value
simple = getattr(queue, 'SimpleQueue', queue.Queue)()        # 3.7 on
for number in range(20):
    simple.put([number])
simple.get()
keep += [threading.Lock(), threading.RLock(), threading.Condition(),
         threading.Event(), threading.Semaphore(), threading.Barrier(2), queue.Queue(), simple, local, subclassed]
keep[-3].put(['queued'])

logger = logging.getLogger('scenario')
logger.addHandler(logging.StreamHandler(io.StringIO()))
logger.warning('a %s', ['message'])

ready.wait()
