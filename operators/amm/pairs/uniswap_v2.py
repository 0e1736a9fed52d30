"""Uniswap v2 and its forks: the whole input stays in the pair, the fee with it.

Rule and rounding: Uniswap/v2-periphery, ``contracts/libraries/UniswapV2Library.sol`` (``getAmountOut``,
``getAmountIn``), enforced by ``UniswapV2Pair.swap`` of Uniswap/v2-core. A fork that charges by direction, or takes the
fee out with a division of its own (Camelot's ``getAmountOut``), is the same state with other fees and ``split_fee``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs.two_reserves import PairQuote, bought, check_amount, cost, quote, sides

_MAX_RESERVE = (1 << 112) - 1


@dataclass(frozen=True, slots=True)
class PairState:
    """A pair. ``fee_a`` of ``fee_denominator`` is taken from input of token A (token0), ``fee_b`` from token B.

    ``split_fee``: the fee is first rounded down and subtracted, as Camelot's and Aerodrome's volatile pairs do, instead
    of being carried through one division. ``fee_leaves``: it does not stay in the pair, as Aerodrome's.
    """

    reserve_a: int
    reserve_b: int
    fee_a: int = 3
    fee_b: int = 3
    fee_denominator: int = 1000
    split_fee: bool = False
    fee_leaves: bool = False


def quote_exact_in(state: PairState, a_to_b: bool, amount_in: int) -> PairQuote:
    """What ``amount_in`` buys. Raises AmmError for an amount that is not positive or an empty pair."""
    check_amount(amount_in)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    fee, of = _fee(state, a_to_b), state.fee_denominator
    fee_amount = amount_in * fee // of
    if state.split_fee:
        amount_out = bought(amount_in - fee_amount, x, y)
    else:
        kept = amount_in * (of - fee)
        amount_out = kept * y // (x * of + kept)
    leaves = fee_amount if state.fee_leaves else 0
    return quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee_amount, leaves)


def quote_exact_out(state: PairState, a_to_b: bool, amount_out: int) -> PairQuote:
    """What ``amount_out`` costs: the library's figure, which may be one unit more than needed; with ``split_fee``,
    of which no contract tells a figure, the least.

    Raises AmmError for an amount that is not positive or that the pair does not hold.
    """
    check_amount(amount_out)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    fee, of = _fee(state, a_to_b), state.fee_denominator
    if amount_out >= y:
        raise AmmError(f"the pair holds {y}, not more than {amount_out}")
    if state.split_fee:
        # The least input that leaves enough once its fee, rounded down, is off.
        amount_in = (cost(amount_out, x, y) - 1) * of // (of - fee) + 1
    else:
        amount_in = x * amount_out * of // ((y - amount_out) * (of - fee)) + 1
    fee_amount = amount_in * fee // of
    leaves = fee_amount if state.fee_leaves else 0
    return quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee_amount, leaves)


def marginal_price(state: PairState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee."""
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    return y / x * (1 - _fee(state, a_to_b) / state.fee_denominator)


def after_swap(state: PairState, amount_a_in: int, amount_b_in: int, amount_a_out: int, amount_b_out: int) -> PairState:
    """``state`` after a ``Swap`` log, which names both sides' inputs and outputs.

    Raises AmmError when the pair does not hold the outputs or would hold more than 112 bits.
    """
    if state.fee_leaves:
        amount_a_in -= amount_a_in * state.fee_a // state.fee_denominator
        amount_b_in -= amount_b_in * state.fee_b // state.fee_denominator
    after = state.reserve_a + amount_a_in - amount_a_out, state.reserve_b + amount_b_in - amount_b_out
    if not all(0 < reserve <= _MAX_RESERVE for reserve in after):
        raise AmmError(f"reserves of {after} are not possible")
    return replace(state, reserve_a=after[0], reserve_b=after[1])


def _fee(state: PairState, a_to_b: bool) -> int:
    return state.fee_a if a_to_b else state.fee_b
