"""Raydium CPMM: a trade fee on the input, and a creator's fee on either side; protocol and fund take their part out.

Rule and rounding: raydium-io/raydium-cp-swap, ``programs/cp-swap/src/curve/{calculator,fees,constant_product}.rs``.
Reserves are the vaults' balances less the protocol's, the fund's and the creator's unclaimed fees. Transfer fees of
Token-2022 mints are not part of it: amounts are what the pool receives and pays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError
from mevflow.operators.amm.pairs.two_reserves import PairQuote, bought, check_amount, cost, quote, sides

_MAX_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class CpmmState:
    """A pool. ``protocol_fee_pips`` and ``fund_fee_pips`` are shares of the trade fee.

    ``creator_fee_on``: 0 the input, 1 token A only, 2 token B only; ``creator_fee_pips`` is 0 where it is switched off.
    """

    reserve_a: int
    reserve_b: int
    fee_pips: int
    protocol_fee_pips: int = 0
    fund_fee_pips: int = 0
    creator_fee_pips: int = 0
    creator_fee_on: int = 0

    def creator_fee_on_input(self, a_to_b: bool) -> bool:
        return self.creator_fee_on == 0 or (self.creator_fee_on == 1) == a_to_b


def quote_exact_in(state: CpmmState, a_to_b: bool, amount_in: int) -> PairQuote:
    """What ``amount_in`` buys. ``fee_amount`` is trade and creator's fee on the input. Raises AmmError."""
    _check(amount_in)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    on_input = state.creator_fee_on_input(a_to_b)
    total = -(-amount_in * _input_pips(state, on_input) // PIPS)
    swapped = bought(amount_in - total, x, y)
    creator_out = 0 if on_input else -(-swapped * state.creator_fee_pips // PIPS)
    if swapped - creator_out <= 0:
        raise AmmError(f"{amount_in} is too little to swap")
    return _quote(state, a_to_b, amount_in, swapped - creator_out, total, creator_out)


def quote_exact_out(state: CpmmState, a_to_b: bool, amount_out: int) -> PairQuote:
    """What ``amount_out`` costs. Raises AmmError for an amount that the pool does not hold."""
    _check(amount_out)
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    on_input = state.creator_fee_on_input(a_to_b)
    swapped = amount_out if on_input else _before_fee(amount_out, state.creator_fee_pips)
    net = cost(swapped, x, y)
    amount_in = _before_fee(net, _input_pips(state, on_input))
    _check(amount_in)
    return _quote(state, a_to_b, amount_in, amount_out, amount_in - net, swapped - amount_out)


def marginal_price(state: CpmmState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fees."""
    x, y = sides(state.reserve_a, state.reserve_b, a_to_b)
    on_input = state.creator_fee_on_input(a_to_b)
    after = 1.0 if on_input else 1 - state.creator_fee_pips / PIPS
    return y / x * (1 - _input_pips(state, on_input) / PIPS) * after


def after_swap(state: CpmmState, a_to_b: bool, amount_in: int, amount_out: int) -> CpmmState:
    """``state`` after a recorded exact-in swap. Raises AmmError when the rule gives another output."""
    moved = quote_exact_in(state, a_to_b, amount_in)
    if moved.amount_out != amount_out:
        raise AmmError(f"{amount_in} in gives {moved.amount_out}, the chain gave {amount_out}")
    return replace(state, reserve_a=moved.reserve_a_after, reserve_b=moved.reserve_b_after)


def _quote(state: CpmmState, a_to_b: bool, amount_in: int, amount_out: int, fee: int, creator_out: int) -> PairQuote:
    """Protocol, fund and creator's fees leave the reserves at once, though they stay in the vaults for a while."""
    creator_in = 0
    if state.creator_fee_on_input(a_to_b) and state.creator_fee_pips:
        creator_in = fee * state.creator_fee_pips // (state.fee_pips + state.creator_fee_pips)
    trade = fee - creator_in
    leaves = creator_in + trade * state.protocol_fee_pips // PIPS + trade * state.fund_fee_pips // PIPS
    moved = quote(state.reserve_a, state.reserve_b, a_to_b, amount_in, amount_out, fee, leaves)
    if not creator_out:
        return moved
    if a_to_b:
        return replace(moved, reserve_b_after=moved.reserve_b_after - creator_out)
    return replace(moved, reserve_a_after=moved.reserve_a_after - creator_out)


def _input_pips(state: CpmmState, creator_on_input: bool) -> int:
    return state.fee_pips + (state.creator_fee_pips if creator_on_input else 0)


def _before_fee(amount: int, pips: int) -> int:
    return -(-amount * PIPS // (PIPS - pips))


def _check(amount: int) -> None:
    check_amount(amount)
    if amount > _MAX_U64:
        raise AmmError(f"{amount} does not fit 64 bits")
