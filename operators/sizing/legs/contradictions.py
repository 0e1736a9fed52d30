"""States that no pool can have, because their own numbers contradict each other: what is wrong, and with which key."""

from __future__ import annotations

from itertools import accumulate

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.bins.dlmm_math import MAX_BIN_ID, MIN_BIN_ID, price_of
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Rules
from mevflow.operators.errors import MevflowError
from mevflow.operators.sizing.venues import reserve_bits

_U64, _U128, _I128 = 1 << 64, 1 << 128, 1 << 127
_MOST_SPACING = (1 << 16) - 1


def of_reserves(venue: int, reserves: tuple[int, int]) -> str | None:
    """Of a pool of two reserves."""
    bits = reserve_bits(venue)
    for name, held in zip(("reserve_a", "reserve_b"), reserves, strict=True):
        if bits is not None and held >> bits:
            return f"{name} is {held}, which does not fit the {bits} bits that the venue has for it"
    return None


def of_ticks(rules: Rules, state: ConcentratedState, price_key: str) -> str | None:
    """Of a pool with ticks. Its liquidity is held against the ticks where all of them are known."""
    low, high = rules.price_at(rules.min_tick), rules.price_at(rules.max_tick)
    if not low <= state.sqrt_price <= high:
        return f"{price_key} is {state.sqrt_price}, outside [{low}, {high}]"
    if state.liquidity >= _U128:
        return f"liquidity is {state.liquidity}, more than 128 bits"
    if state.tick_spacing > _MOST_SPACING:
        return f"tick_spacing is {state.tick_spacing}"
    own = rules.tick_at(state.sqrt_price)
    below = own - 1 if rules.price_at(own) == state.sqrt_price else own
    if not below <= state.tick <= own:
        return f"tick is {state.tick}, where {price_key} {state.sqrt_price} is at tick {own}"
    for tick, net in zip(state.ticks, state.liquidity_net, strict=True):
        if not rules.min_tick <= tick <= rules.max_tick:
            return f"ticks name {tick}, outside [{rules.min_tick}, {rules.max_tick}]"
        if tick % state.tick_spacing:
            return f"ticks name {tick}, no multiple of tick_spacing {state.tick_spacing}"
        if not -_I128 <= net < _I128:
            return f"ticks have a liquidity_net of {net} at {tick}, more than 128 bits"
    return _of_depth(rules, state)


def _of_depth(rules: Rules, state: ConcentratedState) -> str | None:
    inside = sum(net for tick, net in zip(state.ticks, state.liquidity_net, strict=True) if tick <= state.tick)
    base = state.liquidity - inside  # below the first tick
    whole = state.known_tick_lower <= rules.min_tick and state.known_tick_upper >= rules.max_tick
    if state.ticks and whole and base:
        return f"liquidity is {state.liquidity}, where the ticks up to {state.tick} add up to {inside}"
    if state.ticks and whole and sum(state.liquidity_net):
        return f"ticks add up to {sum(state.liquidity_net)}, not to nothing"
    known = zip(state.ticks, accumulate(state.liquidity_net, initial=base), strict=False)
    for tick, depth in [*known, (state.ticks[-1] if state.ticks else state.tick, base + sum(state.liquidity_net))]:
        if state.known_tick_lower <= tick <= state.known_tick_upper and not 0 <= depth < _U128:
            return f"ticks leave a liquidity of {depth} beside {tick}"
    return None


def of_bins(state: DlmmState) -> str | None:
    """Of a pair of bins: those below the active one hold token B alone, those above it token A."""
    if not MIN_BIN_ID <= state.active_id <= MAX_BIN_ID:
        return f"active_id is {state.active_id}, outside [{MIN_BIN_ID}, {MAX_BIN_ID}]"
    for number, held in state.bins.items():
        if not MIN_BIN_ID <= number <= MAX_BIN_ID:
            return f"bins name {number}, outside [{MIN_BIN_ID}, {MAX_BIN_ID}]"
        if max(held.amount_a, held.amount_b) >= _U64:
            return f"bins hold more than 64 bits in {number}"
        if (number < state.active_id and held.amount_a) or (number > state.active_id and held.amount_b):
            return f"bins hold a token in {number} that lies on the other side of active_id {state.active_id}"
        try:
            price = price_of(number, state.bin_step_bps)
        except (AmmError, MevflowError) as wrong:
            return f"bins name {number}: {wrong}"
        if held.price and held.price != price:
            return f"bins give {number} the price {held.price}, which is {price}"
    return None
