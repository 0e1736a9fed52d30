"""Compiled integers of many limbs against Python's."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mevflow.operators.sizing import limbs

_MASK = (1 << 32) - 1


def _of(number):
    return np.array([number >> 32 * at & _MASK for at in range(limbs.LIMBS)], np.uint64)


def _int(limb):
    return sum(int(value) << 32 * at for at, value in enumerate(limb))


def _numbers(bits):
    """Of any length, and such as make a quotient's guess wrong: limbs of all ones and of zeros."""
    ragged = st.lists(st.sampled_from([0, 1, 1 << 31, _MASK - 1, _MASK]), min_size=1, max_size=bits // 32)
    return st.one_of(
        st.integers(0, bits).flatmap(lambda length: st.integers(0, (1 << length) - 1)),
        ragged.map(lambda parts: sum(part << 32 * at for at, part in enumerate(parts))),
    )


@given(_numbers(480), _numbers(480))
@example((1 << 127) - 1 << 32, (1 << 95) + 1)
def test_arithmetic_is_that_of_integers(a, b):
    w, out = limbs.registers(), _of(0)
    assert (limbs.used(_of(a)), limbs.bits(_of(a))) == (-(-a.bit_length() // 32), a.bit_length())
    assert bool(limbs.less(_of(a), _of(b))) == (a < b)
    limbs.add(_of(a), _of(b), out)
    assert _int(out) == a + b
    limbs.subtract(_of(max(a, b)), _of(min(a, b)), out)
    assert _int(out) == abs(a - b)
    if -(-a.bit_length() // 32) + -(-b.bit_length() // 32) <= limbs.LIMBS:
        assert limbs.multiply(_of(a), _of(b), out)
        assert _int(out) == a * b
    else:
        assert not limbs.multiply(_of(a), _of(b), out)
    if b:
        rest = limbs.divide(_of(a), _of(b), out, w)
        assert (_int(out), bool(rest)) == (a // b, bool(a % b))


@given(_numbers(448), st.integers(1, _MASK), st.integers(0, 4))
def test_by_one_limb_and_by_whole_limbs(a, small, shift):
    out = _of(0)
    limbs.times(_of(a), np.uint64(small), out)
    assert _int(out) == a * small
    assert limbs.over(_of(a), np.uint64(small), out) == a % small
    assert _int(out) == a // small
    limbs.down(_of(a), shift, out)
    assert _int(out) == a >> 32 * shift
    if a.bit_length() <= 32 * (limbs.LIMBS - shift):
        assert limbs.up(_of(a), shift, out) or -(-a.bit_length() // 32) + shift > limbs.LIMBS
        assert _int(out) == a << 32 * shift


@given(_numbers(320), _numbers(320))
@example((1 << 53) + 1, 1)
@example((1 << 54) + 2, 1)
@example((1 << 118) + (1 << 65) + 1, 3)
def test_floats_are_those_that_python_makes(a, b):
    w = limbs.registers()
    assert limbs.nearest(_of(a), False) == float(a)
    if a and b:
        assert limbs.ratio(_of(a), _of(b), w, w[0], w[1]) == a / b


@given(st.floats(0.0, 1e38).map(np.floor))
def test_a_whole_float_is_put_as_it_is(number):
    out = _of(0)
    limbs.put(number, out)
    assert _int(out) == int(number)
