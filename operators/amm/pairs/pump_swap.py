"""PumpSwap (Pump AMM): every fee is of the quote token, B; each is rounded up by itself.

Rule: pump-fun/pump-public-docs (``PUMP_SWAP_README.md``, ``FEE_PROGRAM_README.md``) and what swaps on chain paid. A
sale of A gives what the product gives, rounded down, less the fees; a purchase pays what the product asks, rounded up,
and the fees on top. The liquidity providers' fee stays in the pool, the others leave at once. Which fees apply
follows from the price (tiers by market cap), the creator and the size of the trade; the state has those of the moment.
Pools that count a virtual reserve are not covered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import BPS, AmmError
from mevflow.operators.amm.pairs.two_reserves import PairQuote, bought, check_amount, cost, sides

_MAX_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class PumpSwapState:
    """A pool: A is the base token, B the quote token."""

    reserve_a: int
    reserve_b: int
    lp_fee_bps: int
    protocol_fee_bps: int
    creator_fee_bps: int = 0
    cashback_fee_bps: int = 0

    @property
    def fees_bps(self) -> tuple[int, int, int, int]:
        """All fees, the liquidity providers' first."""
        return self.lp_fee_bps, self.protocol_fee_bps, self.creator_fee_bps, self.cashback_fee_bps


def quote_exact_in(state: PumpSwapState, a_to_b: bool, amount_in: int) -> PairQuote:
    """What ``amount_in`` of A is sold for, or how much of A it pays for: then ``amount_in`` is what that costs.

    Raises AmmError for too little.
    """
    _check(amount_in)
    x, y = _reserves(state)
    if a_to_b:
        gross = bought(amount_in, x, y)
        if gross - _fees(state, gross) <= 0:
            raise AmmError(f"{amount_in} is too little to swap")
        return _sold(state, amount_in, gross)
    net = amount_in * BPS // (BPS + sum(state.fees_bps))
    while net + _fees(state, net) > amount_in:
        net -= 1
    while net + 1 + _fees(state, net + 1) <= amount_in:
        net += 1
    amount_out = bought(net, y, x)
    if net <= 0 or amount_out <= 0:
        raise AmmError(f"{amount_in} is too little to swap")
    return quote_exact_out(state, False, amount_out)


def quote_exact_out(state: PumpSwapState, a_to_b: bool, amount_out: int) -> PairQuote:
    """What ``amount_out`` costs; of B it is the least input that gives as much or more. Raises AmmError."""
    _check(amount_out)
    x, y = _reserves(state)
    if a_to_b:
        return _sale_of_at_least(state, x, y, amount_out)
    net = cost(amount_out, y, x)
    fee = _fees(state, net)
    _check(net + fee)
    stays = net + _rounded_up(net, state.lp_fee_bps)
    return PairQuote(net + fee, amount_out, fee, state.reserve_a - amount_out, state.reserve_b + stays)


def marginal_price(state: PumpSwapState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fees."""
    x, y = _reserves(state)
    share = sum(state.fees_bps) / BPS
    return y / x * (1 - share) if a_to_b else x / y / (1 + share)


def after_swap(state: PumpSwapState, a_to_b: bool, amount_in: int, amount_out: int) -> PumpSwapState:
    """``state`` after a recorded swap. Raises AmmError when the rule gives other amounts."""
    moved = quote_exact_in(state, True, amount_in) if a_to_b else quote_exact_out(state, False, amount_out)
    if (moved.amount_in, moved.amount_out) != (amount_in, amount_out):
        raise AmmError(f"{moved.amount_in} in gives {moved.amount_out}; on chain {amount_in} gave {amount_out}")
    return replace(state, reserve_a=moved.reserve_a_after, reserve_b=moved.reserve_b_after)


def _sale_of_at_least(state: PumpSwapState, x: int, y: int, wanted: int) -> PairQuote:
    """The least sale that gives ``wanted`` net of fees, which do not rise evenly: each begins a unit on its own."""
    keeps = BPS - sum(state.fees_bps)
    if keeps <= 0:
        raise AmmError("the fees leave nothing")
    gross = -(-wanted * BPS // keeps)
    while True:
        amount_in = max(cost(gross, x, y), 1)
        _check(amount_in)
        given = bought(amount_in, x, y)
        if given - _fees(state, given) >= wanted:
            return _sold(state, amount_in, given)
        gross = given + 1


def _sold(state: PumpSwapState, amount_in: int, gross: int) -> PairQuote:
    fee = _fees(state, gross)
    leaves = gross - _rounded_up(gross, state.lp_fee_bps)
    return PairQuote(amount_in, gross - fee, fee, state.reserve_a + amount_in, state.reserve_b - leaves)


def _reserves(state: PumpSwapState) -> tuple[int, int]:
    return sides(state.reserve_a, state.reserve_b, True)


def _fees(state: PumpSwapState, amount_b: int) -> int:
    return sum(_rounded_up(amount_b, bps) for bps in state.fees_bps)


def _rounded_up(amount: int, bps: int) -> int:
    return -(-amount * bps // BPS)


def _check(amount: int) -> None:
    check_amount(amount)
    if amount > _MAX_U64:
        raise AmmError(f"{amount} does not fit 64 bits")
