"""Classes and instances: where attributes are kept, in all its forms."""
import abc
import enum
import sys
import typing
import weakref

try:
    import dataclasses
except ImportError:         # 3.7 on
    dataclasses = None

import ready


class Plain:
    """No attribute at all."""


class Attributes:
    def __init__(self, number):
        self.number = number
        self.text = str(number) * 3
        self.items = [number, number + 0.5]


class Many:
    def __init__(self):
        for number in range(60):
            setattr(self, 'field%d' % number, number * 1000)


class Thirty:
    def __init__(self, count):
        for number in range(count):
            setattr(self, 'value%d' % number, [number])


class Slotted:
    __slots__ = ('x', 'y')

    def __init__(self, x, y):
        self.x = x
        self.y = y


class Referable:
    __slots__ = ('x', '__weakref__')


class Derived(Slotted):
    """Slots of the base, and a dictionary."""


class Deeper(Derived):
    __slots__ = ('z',)


class SlotsAndDict:
    __slots__ = ('x', '__dict__')


class Mixed(Derived, Plain):
    pass


class Int(int):
    pass


class Text(str):
    pass


class Tuple(tuple):
    def __new__(cls, *items):
        return super().__new__(cls, items)


class List(list):
    __slots__ = ('extra',)


class Dict(dict):
    pass


class Failure(Exception):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.detail = {'arguments': arguments}


class SlottedFailure(ValueError):
    __slots__ = ('slot',)


class Meta(type):
    registry = []

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        cls.registry.append(cls)


class OfMeta(metaclass=Meta):
    attribute = ['of a class']


class SlottedMeta(type):
    tag = 'tag'


class WithTag(metaclass=SlottedMeta):
    pass


class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self):
        raise NotImplementedError

    @property
    def value(self):
        return 1


@Abstract.register
class Registered:
    pass


class Concrete(Abstract):
    def method(self):
        return self


class Descriptor:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return instance


class Described:
    field = Descriptor()

    @staticmethod
    def static():
        pass

    @classmethod
    def of_class(cls):
        return cls

    @property
    def prop(self):
        return None

    @prop.setter
    def prop(self, value):
        pass

    def __getattr__(self, name):
        raise AttributeError(name)


class GenericClass(typing.Generic[typing.TypeVar('T')]):
    def __init__(self, value):
        self.value = value


class Color(enum.Enum):
    RED = 1
    GREEN = 'g'


class Flags(enum.IntFlag):
    A = 1
    B = 2


if dataclasses:
    @dataclasses.dataclass
    class Record:
        name: str
        values: list = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(frozen=True)
    class Frozen:
        number: int = 5


class NoModule:
    pass


NoModule.__module__ = 5


class Sized:
    """Sized by Python code: no reader of memory can know."""

    payload = b'x'


class Person(typing.NamedTuple):
    name: str
    age: int = 3


class Movie(getattr(typing, 'TypedDict', dict)):        # 3.8 on
    title: str


plain = [Plain() for _ in range(40)]
instances = [Attributes(number) for number in range(500)]
for instance in instances[:50]:
    instance.__dict__['extra'] = 1              # materialised, then of another shape
for instance in instances[50:100]:
    instance.__dict__                           # materialised
for instance in instances[100:120]:
    del instance.text                           # a hole
for instance in instances[120:130]:
    instance.late = ['late']
for instance in instances[130:135]:
    instance.__dict__ = {'replaced': [instance.number]}
for instance in instances[135:140]:
    del instance.number, instance.text, instance.items
for number, instance in enumerate(instances[140:150]):
    setattr(instance, 'different%d' % number, number)
for instance in instances[150:152]:
    instance.__dict__[5] = 'a key that is no string'
for instance in instances[152:156]:
    vars(instance).clear()
kept_dicts = [vars(Attributes(number)) for number in range(20)]        # the instance is gone
shared = Plain()
shared.__dict__ = vars(instances[0])                                   # one dictionary, two owners

many = [Many() for _ in range(3)]
thirty = [Thirty(count) for count in (28, 29, 30, 31, 32, 64)]
slotted = [Slotted(number, [number]) for number in range(100)] + [Slotted.__new__(Slotted)]
derived = [Derived('x', {}), Mixed(1, 2), Deeper(3, 4), SlotsAndDict(), Referable(), Referable()]
derived[0].own = ['own']
derived[2].z = ['z']
derived[2].own = 5
derived[3].x = ['x']
derived[3].own = 6
derived[4].x = 7

builtin_derived = [Int(5), Int(10 ** 50), Text('text'), Text('\u1234'), Tuple(1, [2], 3), Tuple(), List([1]), Dict(a=[1])]
for instance in builtin_derived:
    if not isinstance(instance, List):
        instance.attribute = ['of', type(instance).__name__]
builtin_derived[6].extra = ('slot',)
failures = [Failure(1, [2]), SlottedFailure('x'), Exception(), KeyError('k'), OSError(2, 'no', 'file')]
failures[1].slot = ['slot']
failures[3].__notes__ = ['note']

metas = [OfMeta(), WithTag(), Concrete(), Registered(), Described(), GenericClass([1]), GenericClass[int]([2])]
WithTag.late = ['late class attribute']
enums = [Color.RED, Flags.A | Flags.B, Color]
records = [Record('a'), Record('b', [1]), Frozen(), Frozen(6)] if dataclasses else []
records += [Person('p'), Movie(title='m'), NoModule(), Sized()]
generics = [typing.List[int], typing.Dict[str, typing.Any], typing.Optional[int], typing.Callable[[int], str],
            typing.TypeVar('V', bound=int), typing.Union[int, str]]
if sys.version_info >= (3, 9):
    generics += [list[int], dict[str, list], tuple[int, ...]]
if sys.version_info >= (3, 10):
    generics += [int | str, int | None]
if sys.version_info >= (3, 12):
    exec('''
class Modern[T]:
    value: T
def modern[T: (int, str)](value: T) -> T:
    return value
type Alias[K] = dict[K, list[K]]
generics += [Modern, modern, Alias, Modern[int], Alias[int]]
''')

dynamic = [type('Dynamic%d' % number, (Plain,), {'number': number}) for number in range(50)]
dynamic_instances = [kind() for kind in dynamic]
hierarchy = Plain
for number in range(20):
    hierarchy = type('Level%d' % number, (hierarchy,), {'level%d' % number: number})
deep = hierarchy()
deep.value = [1]

weak = [weakref.ref(instances[0]), weakref.ref(instances[1], print), weakref.proxy(instances[2]),
        weakref.WeakValueDictionary({1: instances[3]}), weakref.WeakKeyDictionary({instances[4]: 'x'}),
        weakref.WeakSet(instances[5:8]), weakref.ref(Plain), weakref.ref(derived[4]), weakref.WeakMethod(metas[2].method),
        weakref.finalize(instances[8], print, 'gone')]
dead = weakref.ref(Plain())
many_weak = [weakref.ref(instances[9], lambda reference: None) for _ in range(5)]
changed_class = Plain()
changed_class.value = 1
changed_class.__class__ = Registered

ready.wait()
