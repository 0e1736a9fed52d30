"""Powers of numbers with 18 decimals, as Balancer v2's contracts approximate them, to the last digit.

balancer/balancer-v2-monorepo, ``pkg/solidity-utils/contracts/math/{LogExpMath,FixedPoint}.sol``: x**y is exp(y ln x),
both by powers of e taken off first and a series for the rest, in integers of 18, 20 and 36 decimals. Signed divisions
truncate.
"""

from __future__ import annotations

from mevflow.operators.amm.concentrated.curve import AmmError

ONE = 10**18
_ONE_20, _ONE_36 = 10**20, 10**36
_MAX_UINT = (1 << 256) - 1
_MOST_EXPONENT, _LEAST_EXPONENT = 130 * ONE, -41 * ONE
#: Near 1 a logarithm has 36 decimals.
_NEAR_LOW, _NEAR_HIGH = ONE - ONE // 10, ONE + ONE // 10
_MOST_POWER = (1 << 254) // _ONE_20
#: e**128 and e**64, without decimals; then (2**n, e**(2**n)) from n = 5 to -4, with 20.
_WHOLE = (
    (128 * ONE, 38877084059945950922200000000000000000000000000000000000),
    (64 * ONE, 6235149080811616882910000000),
)
_POWERS = (
    (3200 * ONE, 7896296018268069516100000000000000),
    (1600 * ONE, 888611052050787263676000000),
    (800 * ONE, 298095798704172827474000),
    (400 * ONE, 5459815003314423907810),
    (200 * ONE, 738905609893065022723),
    (100 * ONE, 271828182845904523536),
    (50 * ONE, 164872127070012814685),
    (25 * ONE, 128402541668774148407),
    (125 * ONE // 10, 113314845306682631683),
    (625 * ONE // 100, 106449445891785942956),
)
#: The exponential takes off e**(2**-2) at the least.
_OF_EXP = _POWERS[:8]
#: How far ``power`` may be off, as a share, and two powers that are products.
_ERROR = 10_000


def mul_down(a: int, b: int) -> int:
    """a b, rounded down."""
    return checked(a * b) // ONE


def mul_up(a: int, b: int) -> int:
    """a b, rounded up."""
    return -(-checked(a * b) // ONE)


def div_down(a: int, b: int) -> int:
    """a / b, rounded down."""
    return checked(a * ONE) // _divisor(b)


def div_up(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-checked(a * ONE) // _divisor(b))


def checked(value: int) -> int:
    """``value``. Raises AmmError where it is no unsigned word."""
    if not 0 <= value <= _MAX_UINT:
        raise AmmError("the pool's arithmetic overflows")
    return value


def power_up(x: int, y: int) -> int:
    """At least x**y: ``powUp``. Raises AmmError outside of what the contract computes."""
    if y == ONE:
        return x
    if y == 2 * ONE:
        return mul_up(x, x)
    if y == 4 * ONE:
        square = mul_up(x, x)
        return mul_up(square, square)
    raw = power(x, y)
    return raw + mul_up(raw, _ERROR) + 1


def power(x: int, y: int) -> int:
    """x**y, either way off by a little: ``LogExpMath.pow``."""
    if y == 0:
        return ONE
    if x == 0:
        return 0
    if x >> 255 or y >= _MOST_POWER:
        raise AmmError("a power of what the pool cannot compute")
    if _NEAR_LOW < x < _NEAR_HIGH:
        log = _log_near_one(x)
        whole = _divided(log, ONE)
        exponent = whole * y + _divided((log - whole * ONE) * y, ONE)
    else:
        exponent = _log(x) * y
    exponent = _divided(exponent, ONE)
    if not _LEAST_EXPONENT <= exponent <= _MOST_EXPONENT:
        raise AmmError("a power beyond what the pool computes")
    return _exp(exponent)


def _exp(x: int) -> int:
    if x < 0:
        return ONE * ONE // _exp(-x)
    first = 1
    for exponent, value in _WHOLE:
        if x >= exponent:
            x, first = x - exponent, value
            break
    x *= 100
    product = _ONE_20
    for exponent, value in _OF_EXP:
        if x >= exponent:
            x, product = x - exponent, product * value // _ONE_20
    term, total = x, _ONE_20 + x
    for number in range(2, 13):
        term = term * x // _ONE_20 // number
        total += term
    return product * total // _ONE_20 * first // 100


def _log(a: int) -> int:
    if a < ONE:
        return -_log(ONE * ONE // a)
    total = 0
    for exponent, value in _WHOLE:
        if a >= value * ONE:
            a, total = a // value, total + exponent
    a, total = a * 100, total * 100
    for exponent, value in _POWERS:
        if a >= value:
            a, total = a * _ONE_20 // value, total + exponent
    z = _divided((a - _ONE_20) * _ONE_20, a + _ONE_20)
    return _divided(total + 2 * _series(z, _ONE_20, 11), 100)


def _log_near_one(x: int) -> int:
    x *= ONE
    return 2 * _series(_divided((x - _ONE_36) * _ONE_36, x + _ONE_36), _ONE_36, 15)


def _series(z: int, one: int, last: int) -> int:
    """The inverse hyperbolic tangent: z + z**3 / 3 + z**5 / 5 … up to z**last."""
    square, term, total = z * z // one, z, z
    for number in range(3, last + 1, 2):
        term = _divided(term * square, one)
        total += _divided(term, number)
    return total


def _divided(a: int, b: int) -> int:
    """Towards zero, as the machine divides."""
    return a // b if a >= 0 else -(-a // b)


def _divisor(b: int) -> int:
    if b == 0:
        raise AmmError("the pool divides by zero")
    return b
