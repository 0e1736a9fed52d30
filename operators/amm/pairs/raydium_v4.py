"""Raydium AMM v4 since it left the order book: a fee on the input, rounded up, that stays in the pool.

Rule and rounding: raydium-io/raydium-amm, ``program/src/{processor,math}.rs`` (``process_swap_base_in_v2``,
``process_swap_base_out_v2``, ``Calculator``). Reserves are the vaults' balances less ``need_take_pnl``. A is the
program's "coin" and B its "pc".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs.two_reserves import PairQuote, bought, check_amount, cost, quote, sides

_MAX_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class AmmV4State:
    """A pool; its swap fee is 25 of 10,000 unless the account says otherwise."""

    reserve_a: int
    reserve_b: int
    fee_numerator: int = 25
    fee_denominator: int = 10_000


def quote_exact_in(state: AmmV4State, a_to_b: bool, amount_in: int) -> PairQuote:
    """What ``amount_in`` buys. Raises AmmError where the program fails: nothing in or nothing out."""
    _check(amount_in)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    fee = -(-amount_in * state.fee_numerator // state.fee_denominator)
    amount_out = bought(amount_in - fee, x, y)
    if amount_out == 0:
        raise AmmError(f"{amount_in} is too little to swap")
    return quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee)


def quote_exact_out(state: AmmV4State, a_to_b: bool, amount_out: int) -> PairQuote:
    """What ``amount_out`` costs: the product rounded up, then the fee on top rounded up. Raises AmmError."""
    _check(amount_out)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    net = cost(amount_out, x, y)
    amount_in = -(-net * state.fee_denominator // (state.fee_denominator - state.fee_numerator))
    _check(amount_in)
    return quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, amount_in - net)


def marginal_price(state: AmmV4State, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee."""
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    return y / x * (1 - state.fee_numerator / state.fee_denominator)


def after_swap(state: AmmV4State, a_to_b: bool, amount_in: int, amount_out: int) -> AmmV4State:
    """``state`` after a recorded swap of these amounts. Raises AmmError when the pool does not hold the output."""
    moved = quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, 0)
    if min(moved.reserve_a_after, moved.reserve_b_after) <= 0:
        raise AmmError(f"the pool does not hold {amount_out}")
    return replace(state, reserve_a=moved.reserve_a_after, reserve_b=moved.reserve_b_after)


def _check(amount: int) -> None:
    check_amount(amount)
    if amount > _MAX_U64:
        raise AmmError(f"{amount} does not fit 64 bits")
