"""Numbers, strings, bytes: every storage form of the types that hold no references."""
import decimal
import fractions
import sys

import ready


class Int(int):
    pass


class Text(str):
    pass


class Slim(str):
    __slots__ = ()


class Data(bytes):
    pass


class Buffer(bytearray):
    pass


class Real(float):
    pass


integers = [sign * (1 << bits) + extra for bits in range(0, 400, 7) for sign in (1, -1) for extra in (-1, 0, 1)]
integers += [10 ** exponent for exponent in (30, 300, 3000)] + [0, -5, -6, 256, 257, True, False]
integers += [Int(0), Int(1), Int(-5), Int(10 ** 30), Int(-10 ** 300)]
reals = [0.0, 1.5, float('inf'), float('nan'), Real(2.5), 1j, complex(1, 2)]
exact = [decimal.Decimal('1.5'), decimal.Decimal('1' * 100), decimal.Decimal('NaN'), decimal.getcontext(),
         fractions.Fraction(1, 3)]

texts = [letter * length for letter in ('a', '\xe9', '\u1234', '\U0001f600') for length in range(0, 3000, 37)]
encoded = [letter * 21 + str(length) for letter in ('x', '\xe9', '\u20ac', '\U0001f601') for length in range(20)]
for text in encoded:
    # The C interface (and not str.encode) leaves the UTF-8 form cached in the object.
    hash(compile('"%s"' % text, 'text', 'eval'))
    try:
        float(text)
    except ValueError:
        pass
    try:
        open('/nowhere/' + text)
    except OSError:
        pass
    getattr(sys, text, None)
interned = [sys.intern('interned %d' % number) for number in range(50)] + [sys.intern('\xe9 interned')]
subclasses = [Text('sub'), Text(''), Text('\xe9sub'), Text('\u1234sub'), Text('\U0001f600sub'), Slim('slim'),
              Text('long' * 200)]
subclasses[0].attribute = ['of a string']

octets = [b'x' * length for length in range(0, 3000, 99)] + [bytes([value]) for value in (0, 65, 255)]
octets += [Data(b'data'), Data(b'')]
arrays = [bytearray(length) for length in range(0, 3000, 99)] + [Buffer(b'buffer')]
front_cut = bytearray(b'x' * 1000)
del front_cut[:10]
front_cut += b'tail'
grown = bytearray()
for number in range(1000):
    grown.append(number % 256)

ready.wait()
