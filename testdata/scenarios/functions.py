"""Code that runs or ran: functions, generators, coroutines, frames, exceptions, descriptors."""
import contextlib
import functools
import operator
import sys
import types

import ready


def plain(a, b=[1], *rest, c: int = {'k': 'w'}, **named) -> str:
    """With everything that a function may have."""
    return a


plain.attribute = ['of a function']


def outer(value):
    shared = {'value': value}
    unset = None

    def inner():
        nonlocal unset
        return shared, value, lambda: unset

    def never():
        return later                        # an empty cell

    del unset
    if not shared:
        later = 1
    return inner, never


def generator(count):
    local = ['local', count]
    for number in range(count):
        try:
            yield (number, local)
        finally:
            local.append(number)


def delegating():
    yield from generator(3)


def receiving():
    received = []
    while True:
        received.append((yield received))


async def coroutine(value):
    local = ['of a coroutine', value]
    await suspended()
    return local


@types.coroutine
def suspended():
    yield ['suspended']


async def asynchronous():
    local = {'of': 'an async generator'}
    for number in range(3):
        yield number, local
        await suspended()


@contextlib.contextmanager
def context():
    inside = ['inside']
    yield inside


class Methods:
    def method(self):
        return self

    @functools.lru_cache(maxsize=8)
    def cached(self, value):
        return [value]

    @getattr(functools, 'cached_property', property)        # 3.8 on
    def once(self):
        return ['once']

    def __call__(self):
        return super().__init__


class Failure(Exception):
    pass


def failing(depth):
    local = ['depth', depth]
    if depth:
        failing(depth - 1)
    else:
        raise Failure('boom', local)


def handling():
    try:
        failing(1)
    except Failure:
        yield ['while an exception is handled']


def caught(depth):
    try:
        failing(depth)
    except Failure as error:
        return error


def chained():
    try:
        try:
            {}['missing']
        except KeyError as error:
            raise ValueError('chained') from error
    except ValueError as error:
        return error


def catch(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error


def recursion(depth):
    local = [depth] * 3
    return recursion(depth - 1) if depth else sys._getframe()


functions = [plain, lambda: plain, lambda x, *y: (x, y), outer([1])[0], outer('x')[1]] + [outer(number) for number in range(20)]
for function in functions[:3]:
    function.__dict__
renamed = types.FunctionType(plain.__code__, {'__builtins__': {}, 'own': 'globals'}, 'renamed', (1, 2))
for _ in range(100):
    outer(5)[0]()                           # long enough for code to be specialised and its caches filled

generators = [generator(5), generator(5), generator(1), delegating(), receiving(), generator(2), (number for number in [[1], [2]])]
next(generators[1])
list(generators[2])
next(generators[3])
next(generators[4])
generators[4].send({'sent': 1})
next(generators[5])
generators[5].close()
next(generators[6])
generators.append(handling())
next(generators[7])
coroutines = [coroutine('created'), coroutine('suspended'), coroutine('finished')]
coroutines[1].send(None)
with contextlib.suppress(StopIteration):
    coroutines[2].send(None)
    coroutines[2].send(None)
async_generators = [asynchronous(), asynchronous()]
step = async_generators[1].__anext__()
with contextlib.suppress(StopIteration):
    step.send(None)
pending = [async_generators[0].__anext__(), async_generators[0].asend(None), coroutine('awaited').__await__()]
entered = context()
entered.__enter__()
stack = contextlib.ExitStack()
stack.enter_context(context())
stack.callback(print, 'closing')

instance = Methods()
instance.once
bound = [instance.method, instance.cached, Methods.method, Methods.__init__, instance.__call__(), super(Methods, instance)]
for number in range(20):
    instance.cached(number)
partials = [functools.partial(plain, 1, c=2), functools.partial(plain), functools.partial(functools.partial(plain, 1), 2),
            functools.partialmethod(plain, 1)]
partials[0].attribute = ['of a partial']
unlimited = functools.lru_cache(maxsize=None)(lambda *x, **y: [x])
limited = functools.lru_cache(maxsize=10)(lambda x: [x])
uncached = functools.lru_cache(maxsize=0)(lambda x: [x])
for number in range(30):
    unlimited(number)
    unlimited(number, 'two', key=number)
    limited('argument %d' % number)
    uncached(number)
dispatched = functools.singledispatch(plain)
dispatched.register(int, lambda value: value)
dispatched(5)
keys = sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: a - b))
key = functools.cmp_to_key(operator.sub)(['object'])

builtins = [len, [].append, ''.join, str.maketrans, dict.fromkeys, object.__init__, [].__len__, int.real, type.__dict__['__mro__'],
            str.__dict__['maketrans'], list.__dict__['append'], types.FunctionType.__dict__['__code__'],
            staticmethod(len), classmethod(len), property(len, len, len, 'doc'), operator.itemgetter(1, [2]),
            operator.attrgetter('a.b', 'c'), operator.methodcaller('name', 1, key=[2]), sys._getframe, int.__add__, (5).__add__]

errors = [caught(0), caught(5), chained(), catch(open, '/nowhere'), catch(__import__, 'no_such_module'),
          catch(b'\xff'.decode, 'utf8'), catch('\udcff'.encode, 'utf8'), catch(compile, 'a b', 'file', 'exec'),
          catch(lambda: undefined_name), catch(getattr, [], 'nothing'), catch(next, iter([])), catch(sys.exit, [5]),  # noqa: F821
          SystemExit(), StopIteration([1]), KeyboardInterrupt(), MemoryError(), UnicodeTranslateError('x', 0, 1, 'y')]
errors[0].__context__ = errors[1]
if sys.version_info >= (3, 11):
    errors.append(ExceptionGroup('group', [ValueError(1), TypeError([2])]))  # noqa: F821
    errors[0].add_note('a note')
frames = [recursion(0), recursion(6), errors[1].__traceback__.tb_frame, sys._getframe()]
frames[2].f_locals
codes = [compile('x = [1, (2, "three"), b"four", {5}, 6.5]', 'name', 'exec'), compile('lambda: (yield)', 'n', 'eval'),
         plain.__code__]
codes[2].co_varnames, codes[2].co_code, codes[2].co_freevars
cells = [*outer(3)[0].__closure__]
if sys.version_info >= (3, 8):
    codes.append(plain.__code__.replace(co_name='other'))
    cells += [types.CellType(), types.CellType([1])]

ready.wait()
