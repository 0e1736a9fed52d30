"""Stable pools of Aerodrome and Velodrome (Solidly's curve): x³y + xy³ in 18 decimals, a fee off the input first.

Rule and rounding: aerodrome-finance/contracts, ``contracts/Pool.sol`` (``getAmountOut``, ``_get_y``, ``_k``, ``swap``).
The fee leaves the pool at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError
from mevflow.operators.amm.least_input import least_input
from mevflow.operators.amm.pairs.two_reserves import PairQuote, check_amount, quote, sides

_ONE = 10**18
_MAX_UINT = (1 << 256) - 1
_ROUNDS = 255
_MOST = 1 << 127
_UNITS_LESS = 4
_A_LITTLE = (0, *(1 << power for power in range(16)))


@dataclass(frozen=True, slots=True)
class SolidlyState:
    """A pool. ``unit_a`` and ``unit_b`` are one whole token in raw units; the fee is in whole basis points on chain."""

    reserve_a: int
    reserve_b: int
    unit_a: int
    unit_b: int
    fee_pips: int


def quote_exact_in(state: SolidlyState, a_to_b: bool, amount_in: int) -> PairQuote:
    """What ``amount_in`` buys. Raises AmmError where the pool's quote reverts, or the pool would refuse the swap."""
    found = _quoted(state, a_to_b, amount_in, reverts=True)
    held = invariant(state)
    if _k(state, found.reserve_a_after, found.reserve_b_after) < held:
        raise AmmError(f"the pool refuses to give {found.amount_out} for {amount_in}")
    return found


def quote_direct(state: SolidlyState, a_to_b: bool, amount_in: int) -> PairQuote:
    """What the pool itself gives to who names the output in ``swap``: as ``quote_exact_in`` where that quotes.

    Where the contract's quote reverts for a single amount, the pool takes it all the same, for the curve's output or a
    unit or two less.
    """
    found = _quoted(state, a_to_b, amount_in, reverts=False)
    held = invariant(state)
    for less in range(_UNITS_LESS):
        out = found.amount_out - less
        given = quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, out, found.fee_amount, found.fee_amount)
        if out > 0 and _k(state, given.reserve_a_after, given.reserve_b_after) >= held:
            return given
    raise AmmError(f"the pool refuses to give {found.amount_out} for {amount_in}")


def quote_exact_out(state: SolidlyState, a_to_b: bool, amount_out: int) -> PairQuote:
    """The least input that pays at least ``amount_out`` (of those that the pool does not refuse, the first found).

    The contract has no exact output of its own.
    """
    _, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    if not 0 < amount_out < y:
        raise AmmError(f"the pool holds {y}, not more than {amount_out}")
    guess = int(amount_out / marginal_price(state, a_to_b)) + 1

    def out(amount: int) -> int:
        try:
            return _quoted(state, a_to_b, amount, reverts=False).amount_out
        except AmmError:
            return 0

    least = least_input(out, amount_out, guess, _MOST)
    # The pool refuses an amount here and there: a little more is taken.
    for more in _A_LITTLE:
        try:
            return quote_exact_in(state, a_to_b, least + more)
        except AmmError:
            continue
    raise AmmError(f"the pool refuses to give {amount_out}")


def _quoted(state: SolidlyState, a_to_b: bool, amount_in: int, reverts: bool) -> PairQuote:
    """The output of an exchange; without ``reverts`` also where the contract's own iteration fails."""
    check_amount(amount_in)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    unit_x, unit_y = sides(state.unit_a, state.unit_b, a_to_b)
    fee = _checked(amount_in * state.fee_pips) // PIPS
    net = amount_in - fee
    held = _scaled(y, unit_y)
    wanted = invariant(state)
    left = _balance(state, _scaled(x, unit_x) + _scaled(net, unit_x), wanted, held, reverts)
    if left > held:
        raise AmmError(f"{amount_in} is too little to exchange")
    amount_out = (held - left) * unit_y // _ONE
    if amount_out == 0 or amount_out >= y:
        raise AmmError(f"{amount_in} buys {amount_out} of {y}")
    return quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee, fee)


def marginal_price(state: SolidlyState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee."""
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    unit_x, unit_y = sides(state.unit_a, state.unit_b, a_to_b)
    a, b = x / unit_x, y / unit_y
    on_curve = b * (3 * a * a + b * b) / (a * (a * a + 3 * b * b))
    return on_curve * (unit_y / unit_x) * (1 - state.fee_pips / PIPS)


def invariant(state: SolidlyState) -> int:
    """x³y + xy³ as the contract computes it. Raises AmmError where it overflows."""
    return _k(state, state.reserve_a, state.reserve_b)


def after_swap(state: SolidlyState, a_to_b: bool, amount_in: int, amount_out: int) -> SolidlyState:
    """``state`` after a swap of these amounts, whatever it paid above the least. Raises AmmError where none can be."""
    fee = amount_in * state.fee_pips // PIPS
    found = quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee, fee)
    if min(found.reserve_a_after, found.reserve_b_after) <= 0:
        raise AmmError(f"the pool does not hold {amount_out}")
    return replace(state, reserve_a=found.reserve_a_after, reserve_b=found.reserve_b_after)


def _scaled(amount: int, unit: int) -> int:
    return _checked(amount * _ONE) // unit


def _checked(value: int) -> int:
    """Solidity's arithmetic reverts beyond 256 bits."""
    if not 0 <= value <= _MAX_UINT:
        raise AmmError("the pool's arithmetic overflows")
    return value


def _k(state: SolidlyState, x: int, y: int) -> int:
    """The curve's constant, of raw amounts."""
    return _f(_scaled(x, state.unit_a), _scaled(y, state.unit_b))


def _f(x: int, y: int) -> int:
    product = _checked(x * y) // _ONE
    squares = _checked(_checked(x * x) // _ONE + _checked(y * y) // _ONE)
    return _checked(product * squares) // _ONE


def _slope(x: int, y: int) -> int:
    first = _checked(3 * x * (_checked(y * y) // _ONE)) // _ONE
    return _checked(first + _checked(_checked(x * x) // _ONE * x) // _ONE)


def _balance(state: SolidlyState, x: int, wanted: int, y: int, reverts: bool) -> int:
    """The other balance on the curve through ``wanted``, from ``y`` on, as ``_get_y`` iterates it.

    The contract asks ``_k`` of scaled balances, so that what has other decimals than 18 is scaled twice there, and may
    overflow; or it goes to and fro between two numbers for ever. Either way an amount here and there is refused.
    """
    for _ in range(_ROUNDS):
        k, slope = _f(x, y), _slope(x, y)
        if slope == 0:
            raise AmmError("the pool divides by zero")
        if k < wanted:
            step = _checked((wanted - k) * _ONE) // slope
            if step == 0:
                if _above(state, x, y + 1, wanted, reverts):
                    return y + 1
                step = 1
            y = _checked(y + step)
        else:
            step = _checked((k - wanted) * _ONE) // slope
            if step == 0:
                if k == wanted or _f(x, _checked(y - 1)) < wanted:
                    return y
                step = 1
            y = _checked(y - step)
    if reverts:
        raise AmmError("the pool's iteration does not end")
    return y


def _above(state: SolidlyState, x: int, y: int, wanted: int, reverts: bool) -> bool:
    try:
        return _k(state, x, y) > wanted
    except AmmError:
        if reverts:
            raise
        return True
