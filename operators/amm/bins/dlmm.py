"""Meteora DLMM: liquidity in bins of one price each, a base fee and a fee that follows volatility.

The rule is that of MeteoraAg/dlmm-sdk, ``commons/src/quote.rs`` (which mirrors the program lb_clmm): makers'
liquidity of a bin goes first, then its processed and its open limit orders; the fee of a bin is that of the
volatility when the swap reaches it. Token X is A and Y is B; a swap a to b moves down through the bins.
Transfer fees of Token-2022 mints are not part of it: amounts are what the pool receives and pays.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mevflow.operators.amm.bins.dlmm_math import (
    BPS,
    FEE_PRECISION,
    MAX_BIN_ID,
    MIN_BIN_ID,
    amount_in_for,
    amount_out_at,
    fee_on,
    fee_rate,
    fee_within,
    price_of,
)
from mevflow.operators.amm.concentrated.curve import AmmError

_MAX_U64 = (1 << 64) - 1
#: What those who placed a limit order get of its fee.
_ORDER_FEE_SHARE_BPS = 5_000


@dataclass(frozen=True, slots=True)
class FeeRule:
    """A pair's fee parameters; times in seconds."""

    base_factor: int
    base_fee_power: int
    filter_period_s: int
    decay_period_s: int
    reduction_factor_bps: int
    variable_fee_control: int
    max_volatility_accumulator: int
    protocol_share_bps: int


@dataclass(frozen=True, slots=True)
class Volatility:
    """How far the price has moved of late, in bins times 10,000; it decays between swaps."""

    accumulator: int
    reference: int
    index_reference: int
    last_update_s: int

    def at(self, now_s: int, active_id: int, rule: FeeRule) -> Volatility:
        """The references that a swap at ``now_s`` starts from. Raises AmmError when time runs backwards."""
        elapsed = now_s - self.last_update_s
        if elapsed < rule.filter_period_s:
            return self
        reference = 0
        if elapsed < rule.decay_period_s:
            reference = self.accumulator * rule.reduction_factor_bps // BPS
        return replace(self, reference=reference, index_reference=active_id)

    def in_bin(self, bin_id: int, rule: FeeRule) -> Volatility:
        """With the accumulator of a swap that has reached ``bin_id``."""
        moved = self.reference + abs(self.index_reference - bin_id) * BPS
        return replace(self, accumulator=min(moved, rule.max_volatility_accumulator))


@dataclass(frozen=True, slots=True)
class Bin:
    """Makers' amounts, and limit orders on one side: asks sell A, bids buy it. ``price`` is Q64.64."""

    price: int
    amount_a: int
    amount_b: int
    open_order: int = 0
    processed_order: int = 0
    order_is_ask: bool = False


@dataclass(frozen=True, slots=True)
class DlmmState:
    """A pair. ``bins`` holds those with anything in them, known from ``known_lower`` to ``known_upper``."""

    bin_step_bps: int
    active_id: int
    fees: FeeRule
    volatility: Volatility
    bins: Mapping[int, Bin]
    bin_ids: tuple[int, ...]
    limit_orders: bool = False
    fee_in_b_only: bool = False
    known_lower: int = MIN_BIN_ID
    known_upper: int = MAX_BIN_ID


@dataclass(frozen=True, slots=True)
class DlmmQuote:
    """What a swap moves. ``fee_amount`` is of the input, or of B where the pair takes fees in B only.

    ``changed`` are the bins as the swap leaves them. ``filled`` is False when the known bins ran out.
    """

    amount_in: int
    amount_out: int
    fee_amount: int
    protocol_fee: int
    active_id_after: int
    volatility_after: Volatility
    changed: tuple[tuple[int, Bin], ...]
    filled: bool

    def applied_to(self, state: DlmmState) -> DlmmState:
        """``state`` after this swap."""
        bins = {**state.bins, **dict(self.changed)}
        return replace(state, active_id=self.active_id_after, volatility=self.volatility_after, bins=bins)


@dataclass(frozen=True, slots=True)
class _Fill:
    """One bin's part: input with and without fee, output with and without fee, and the bin after it."""

    amount_in: int
    amount_out: int
    fee: int
    protocol_fee: int
    after: Bin


def quote_exact_in(state: DlmmState, a_to_b: bool, amount_in: int, now_s: int) -> DlmmQuote:
    """What ``amount_in`` buys at chain time ``now_s``.

    Raises AmmError when the amount is not positive, or too little to buy anything.
    """
    return _swap(state, a_to_b, amount_in, now_s, exact_in=True)


def quote_exact_out(state: DlmmState, a_to_b: bool, amount_out: int, now_s: int) -> DlmmQuote:
    """What ``amount_out`` costs at chain time ``now_s``.

    Raises AmmError when the amount is not positive, or when rounding between makers and limit orders leaves less.
    """
    return _swap(state, a_to_b, amount_out, now_s, exact_in=False)


def marginal_price(state: DlmmState, a_to_b: bool, now_s: int) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee; 0.0 when nothing is left that way."""
    for bin_id in _bins_on_the_way(state, a_to_b):
        volatility = state.volatility.at(now_s, state.active_id, state.fees).in_bin(bin_id, state.fees)
        price = state.bins[bin_id].price / 2**64
        net = 1 - _rate(state, volatility) / FEE_PRECISION
        return price * net if a_to_b else net / price
    return 0.0


def after_swap(state: DlmmState, a_to_b: bool, amount_in: int, amount_out: int, at_s: int) -> DlmmState:
    """``state`` after a recorded swap. Raises AmmError when the rule gives another output: bins are then stale."""
    quote = quote_exact_in(state, a_to_b, amount_in, at_s)
    if quote.amount_out != amount_out or not quote.filled:
        raise AmmError(f"{amount_in} in gives {quote.amount_out}, the chain gave {amount_out}")
    return quote.applied_to(state)


def _swap(state: DlmmState, a_to_b: bool, amount: int, now_s: int, exact_in: bool) -> DlmmQuote:
    if not 0 < amount <= _MAX_U64:
        raise AmmError(f"an amount is from 1 to 2**64 - 1, not {amount}")
    volatility = state.volatility.at(now_s, state.active_id, state.fees)
    remaining, total_in, total_out, fees, protocol = amount, 0, 0, 0, 0
    active, changed = state.active_id, []
    for bin_id in _bins_on_the_way(state, a_to_b):
        if remaining <= 0:
            break
        volatility = volatility.in_bin(bin_id, state.fees)
        fill = (_fill_in if exact_in else _fill_out)(
            state, state.bins[bin_id], remaining, a_to_b, _rate(state, volatility)
        )
        active = bin_id
        remaining -= fill.amount_in if exact_in else fill.amount_out
        total_in += fill.amount_in
        total_out += fill.amount_out
        fees += fill.fee
        protocol += fill.protocol_fee
        changed.append((bin_id, fill.after))
    if remaining <= 0 and not total_out:
        raise AmmError(f"{amount} is too little to swap")
    return DlmmQuote(
        amount_in=total_in,
        amount_out=total_out,
        fee_amount=fees,
        protocol_fee=protocol,
        active_id_after=active,
        # A swap that stays in the bin where it began decays the references anew, and leaves the time as it was.
        volatility_after=volatility if active == state.active_id else replace(volatility, last_update_s=now_s),
        changed=tuple(changed),
        filled=remaining <= 0,
    )


def _bins_on_the_way(state: DlmmState, a_to_b: bool) -> Iterator[int]:
    """The bins that hold output, from the active one on, within what is known."""
    ids = state.bin_ids
    if a_to_b:
        places = range(bisect_right(ids, state.active_id) - 1, bisect_left(ids, state.known_lower) - 1, -1)
    else:
        places = range(bisect_left(ids, state.active_id), bisect_right(ids, state.known_upper))
    return (ids[at] for at in places if sum(_available(state, state.bins[ids[at]], a_to_b)))


def _available(state: DlmmState, found: Bin, a_to_b: bool) -> tuple[int, int, int]:
    """Output in a bin: makers', processed orders', open orders'. Bids are filled a to b, asks b to a."""
    makers = found.amount_b if a_to_b else found.amount_a
    if state.limit_orders and found.order_is_ask != a_to_b:
        return makers, found.processed_order, found.open_order
    return makers, 0, 0


def _rate(state: DlmmState, volatility: Volatility) -> int:
    rule = state.fees
    return fee_rate(
        state.bin_step_bps, rule.base_factor, rule.base_fee_power, rule.variable_fee_control, volatility.accumulator
    )


def _fill_in(state: DlmmState, found: Bin, amount_in: int, a_to_b: bool, rate: int) -> _Fill:
    fee_on_input = not (state.fee_in_b_only and a_to_b)
    fee = fee_within(amount_in, rate) if fee_on_input else 0
    net = left = amount_in - fee
    used, given = [], []
    for available in _available(state, found, a_to_b):
        whole = amount_in_for(found.price, available, a_to_b)
        taken = min(left, whole)
        used.append(taken)
        given.append(available if taken == whole else amount_out_at(found.price, left, a_to_b))
        left -= taken
    amount_out = sum(given)
    if left:
        net -= left
        fee = fee_on(net, rate) if fee_on_input else 0
        amount_in = net + fee
    if not fee_on_input:
        fee = fee_within(amount_out, rate)
        amount_out -= fee
    return _Fill(
        amount_in=amount_in,
        amount_out=amount_out,
        fee=fee,
        protocol_fee=_protocol_fee(state, fee, used[0], sum(used)),
        after=_taken_from(found, a_to_b, used[0], given),
    )


def _fill_out(state: DlmmState, found: Bin, amount_out: int, a_to_b: bool, rate: int) -> _Fill:
    fee_on_input = not (state.fee_in_b_only and a_to_b)
    wanted = amount_out if fee_on_input else amount_out + fee_on(amount_out, rate)
    if wanted >= sum(_available(state, found, a_to_b)):
        return _fill_in(state, found, _MAX_U64, a_to_b, rate)
    # The input is that of one layer, and is spent layer by layer: rounding may then leave less than was asked for.
    net = amount_in_for(found.price, wanted, a_to_b)
    fill = _fill_in(state, found, net + fee_on(net, rate) if fee_on_input else net, a_to_b, rate)
    if fill.amount_out < amount_out:
        raise AmmError(f"rounding leaves {fill.amount_out} of {amount_out}, which the program refuses")
    # Rounding may buy more than was asked for: that leaves the bin, stays in the vault, and nobody is owed it.
    return replace(fill, amount_out=amount_out)


def _protocol_fee(state: DlmmState, fee: int, makers_in: int, total_in: int) -> int:
    """The protocol's share of ``fee``: of the makers' part as the pair says, of the orders' part one half."""
    if not fee or not total_in:
        return 0
    makers = -(-fee * makers_in // total_in)
    orders = fee - makers
    return makers * state.fees.protocol_share_bps // BPS + orders - orders * _ORDER_FEE_SHARE_BPS // BPS


def _taken_from(found: Bin, a_to_b: bool, makers_in: int, given: list[int]) -> Bin:
    makers, processed, opened = given
    if a_to_b:
        amounts = found.amount_a + makers_in, found.amount_b - makers
    else:
        amounts = found.amount_a - makers, found.amount_b + makers_in
    # Open orders that a swap begins to fill take no more orders: what is left of them is processed next.
    left = found.open_order - opened
    return replace(
        found,
        amount_a=amounts[0],
        amount_b=amounts[1],
        processed_order=left if opened else found.processed_order - processed,
        open_order=0 if opened else left,
    )


def state_of(
    bin_step_bps: int,
    active_id: int,
    fees: FeeRule,
    volatility: Volatility,
    bins: Mapping[int, Bin],
    limit_orders: bool = False,
    fee_in_b_only: bool = False,
    known: tuple[int, int] = (MIN_BIN_ID, MAX_BIN_ID),
) -> DlmmState:
    """A state from any bins; the price of a bin whose price was never stored is computed."""
    priced = {
        bin_id: found if found.price else replace(found, price=price_of(bin_id, bin_step_bps))
        for bin_id, found in bins.items()
    }
    return DlmmState(
        bin_step_bps, active_id, fees, volatility, priced, tuple(sorted(priced)), limit_orders, fee_in_b_only, *known
    )
