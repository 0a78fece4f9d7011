"""Nearly the whole standard library, imported: the classes, functions and caches of real modules."""
import importlib
import warnings

import ready

NAMES = '''
argparse ast asyncio base64 bdb binascii bisect calendar cmd code codecs codeop collections.abc colorsys compileall
concurrent.futures configparser contextlib copy cProfile csv ctypes.util curses dataclasses datetime dbm decimal difflib dis
doctest email.mime.text email.parser encodings.idna enum filecmp fileinput fnmatch fractions ftplib functools getopt getpass
gettext glob graphlib gzip hashlib heapq html.parser http.client http.cookies http.server imaplib inspect io ipaddress json
keyword linecache locale logging.config logging.handlers lzma mailbox mimetypes mmap modulefinder multiprocessing.pool
multiprocessing.shared_memory netrc numbers opcode operator optparse os pathlib pdb pickletools pkgutil platform plistlib
poplib pprint profile pstats pty py_compile pyclbr pydoc queue quopri random readline re reprlib resource rlcompleter runpy
sched secrets select selectors shelve shlex shutil signal site smtplib socketserver sqlite3 ssl stat statistics string
stringprep struct subprocess symtable sysconfig tarfile tempfile termios textwrap threading timeit tkinter token tokenize
trace traceback tracemalloc tty turtle types typing unittest.mock urllib.request urllib.robotparser uuid venv wave weakref
webbrowser wsgiref.simple_server xml.dom.minidom xml.etree.ElementTree xml.sax xmlrpc.server zipapp zipfile zipimport zlib
_testcapi _elementtree _pickle _queue _lsprof _posixshmem _multibytecodec _codecs_jp _opcode _xxtestfuzz zoneinfo tomllib
'''

warnings.simplefilter('ignore')
modules = {}
failed = []
for name in NAMES.split():
    try:
        modules[name] = importlib.import_module(name)
    except Exception as error:
        failed.append(repr(error))

ready.wait()
