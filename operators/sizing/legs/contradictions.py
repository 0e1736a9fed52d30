"""States that no pool can have, because their own numbers contradict each other: what is wrong, and with which key."""

from __future__ import annotations

from itertools import accumulate

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.bins.dlmm_math import BPS, MAX_BIN_ID, MIN_BIN_ID, price_of
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Rules
from mevflow.operators.amm.pairs.pump_swap import PumpSwapState
from mevflow.operators.amm.stable import solidly
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, StableState
from mevflow.operators.amm.stable.tricrypto import CryptoState
from mevflow.operators.amm.stable.tricrypto_math import newton_y
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.errors import MevflowError
from mevflow.operators.sizing.venues import reserve_bits
from mevflow.v1 import market_pb2 as market

_U64, _U128, _I128 = 1 << 64, 1 << 128, 1 << 127
_MOST_SPACING = (1 << 16) - 1
#: ``MAX_A`` and ``MAX_FEE`` of Curve's contracts; Saber's ``MAX_AMP`` is the same.
_MOST_AMP, _MOST_FEE = 10**6, FEE_DENOMINATOR // 2
#: Powers of ten that DLMM's base fee is multiplied by.
_MOST_POWER = 4
#: Balancer's weighted pools: how many tokens, and the least fee (of 10 ** 18).
_MOST_TOKENS, _LEAST_SHARE = 20, 10**12
#: What Curve's contracts count the amplification in.
_AMP_PRECISIONS = (1, 100)
#: ``PoolFactory.MAX_FEE`` of Aerodrome and Velodrome, 300 basis points.
_MOST_FACTORY_FEE, _PIPS_PER_BPS = 30_000, 100


def of_reserves(venue: int, reserves: tuple[int, int], fee_pips: int) -> str | None:
    """Of a pool of two reserves."""
    if venue == market.VENUE_AERODROME_VOLATILE and (wrong := _of_factory_fee(fee_pips)) is not None:
        return wrong
    bits = reserve_bits(venue)
    for name, held in zip(("reserve_a", "reserve_b"), reserves, strict=True):
        if bits is not None and held >> bits:
            return f"{name} is {held}, which does not fit the {bits} bits that the venue has for it"
    return None


def of_pump_swap(state: PumpSwapState) -> str | None:
    """Of a PumpSwap pool."""
    for name, held in (("reserve_a", state.reserve_a), ("reserve_b", state.reserve_b)):
        if held >= _U64:
            return f"{name} is {held}, more than 64 bits"
    if sum(state.fees_bps) >= BPS:
        return f"the fees are {sum(state.fees_bps)} of {BPS:,}: all of it"
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
    if not state.known_tick_lower <= state.tick <= state.known_tick_upper:
        return (
            f"tick is {state.tick}, outside what known_tick_lower {state.known_tick_lower}"
            f" and known_tick_upper {state.known_tick_upper} say is known"
        )
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


def of_stable(state: StableState) -> str | None:
    """Of a Curve pool: what its contract lets its owner set, and balances that have an invariant."""
    if state.fee > _MOST_FEE:
        return f"fee is {state.fee}, above {_MOST_FEE}"
    if state.admin_fee > FEE_DENOMINATOR:
        return f"admin_fee is {state.admin_fee}, more than all of the fee"
    if state.offpeg_fee_multiplier * state.fee > _MOST_FEE * FEE_DENOMINATOR:
        return f"offpeg_fee_multiplier is {state.offpeg_fee_multiplier}, with which fee grows above {_MOST_FEE}"
    if state.amp_precision not in _AMP_PRECISIONS:
        return f"amp_precision is {state.amp_precision}, neither of {', '.join(map(str, _AMP_PRECISIONS))}"
    if not state.amp_precision <= state.amp * len(state.balances) <= _MOST_AMP * state.amp_precision * 8:
        return f"amp is {state.amp} in units of {state.amp_precision}"
    try:
        state.d(state.scaled())
    except AmmError as wrong:
        return f"balances have no invariant: {wrong.message}"
    return None


def of_solidly(state: SolidlyState) -> str | None:
    """Of a stable pool of Aerodrome or Velodrome: reserves that its contract computes with, a fee that it can have."""
    if (wrong := _of_factory_fee(state.fee_pips)) is not None:
        return wrong
    try:
        solidly.invariant(state)
    except AmmError as refused:
        return f"reserves have no invariant: {refused.message}"
    return None


def _of_factory_fee(fee_pips: int) -> str | None:
    """Of what the factory of Aerodrome's and Velodrome's pools lets be a fee."""
    if fee_pips % _PIPS_PER_BPS or fee_pips > _MOST_FACTORY_FEE:
        return f"fee_pips is {fee_pips}, no whole basis points up to {_MOST_FACTORY_FEE}"
    return None


def of_weighted(state: WeightedState) -> str | None:
    """Of a Balancer pool: what its contract and the vault let be."""
    if not 2 <= len(state.balances) <= _MOST_TOKENS:
        return f"balances are those of 2 to {_MOST_TOKENS} tokens"
    if sum(state.weights) != ONE or min(state.weights) < ONE // 100:
        return f"weights are {', '.join(map(str, state.weights))}, not shares of one hundredth or more of {ONE}"
    if not _LEAST_SHARE <= state.fee <= ONE // 10:
        return f"fee is {state.fee}, outside [{_LEAST_SHARE}, {ONE // 10}]"
    if max(state.balances) >> 112:
        return "a balance does not fit the 112 bits that the vault has for it"
    return None


def of_tricrypto(state: CryptoState) -> str | None:
    """Of a tricrypto pool: fees that leave something, and balances about its invariant."""
    for name, fee in (("mid_fee", state.mid_fee), ("out_fee", state.out_fee)):
        if fee > FEE_DENOMINATOR:
            return f"{name} is {fee}, more than all of the output"
    if not state.gamma or not state.ann:
        return "ann and gamma are above zero"
    try:
        newton_y(state.ann, state.gamma, state.scaled(state.balances), state.d, 0, state.multiplier)
    except AmmError as wrong:
        return f"balances and d: {wrong.message}"
    return None


def of_saber(state: SaberState) -> str | None:
    """Of a Saber pool, whose vaults have 64 bits."""
    for name, held in (("reserve_a", state.reserve_a), ("reserve_b", state.reserve_b)):
        if held >= _U64:
            return f"{name} is {held}, which does not fit the 64 bits that the venue has for it"
    if state.fee_numerator >= state.fee_denominator:
        return f"fee_numerator is {state.fee_numerator} of {state.fee_denominator}: all of the output, or more"
    if state.amp > _MOST_AMP:
        return f"amp is {state.amp}, above {_MOST_AMP}"
    return None


def of_bins(state: DlmmState) -> str | None:
    """Of a pair of bins: those below the active one hold token B alone, those above it token A."""
    if (wrong := _of_bin_fees(state)) is not None:
        return wrong
    if not MIN_BIN_ID <= state.active_id <= MAX_BIN_ID:
        return f"active_id is {state.active_id}, outside [{MIN_BIN_ID}, {MAX_BIN_ID}]"
    if not state.known_lower <= state.active_id <= state.known_upper:
        return (
            f"active_id is {state.active_id}, outside what known_lower {state.known_lower}"
            f" and known_upper {state.known_upper} say is known"
        )
    for number, held in state.bins.items():
        if not MIN_BIN_ID <= number <= MAX_BIN_ID:
            return f"bins name {number}, outside [{MIN_BIN_ID}, {MAX_BIN_ID}]"
        if max(held.amount_a, held.amount_b) >= _U64:
            return f"bins hold more than 64 bits in {number}"
        if min(held.amount_a, held.amount_b) < 0:
            return f"bins hold less than nothing in {number}"
        if (number < state.active_id and held.amount_a) or (number > state.active_id and held.amount_b):
            return f"bins hold a token in {number} that lies on the other side of active_id {state.active_id}"
        try:
            price = price_of(number, state.bin_step_bps)
        except (AmmError, MevflowError) as wrong:
            return f"bins name {number}: {wrong}"
        if held.price and held.price != price:
            return f"bins give {number} the price {held.price}, which is {price}"
    return None


def _of_bin_fees(state: DlmmState) -> str | None:
    fees = state.fees
    for name, value, most in (
        ("bin_step_bps", state.bin_step_bps, BPS),
        ("base_factor", fees.base_factor, (1 << 16) - 1),
        ("base_fee_power", fees.base_fee_power, _MOST_POWER),
        ("reduction_factor_bps", fees.reduction_factor_bps, BPS),
        ("protocol_share_bps", fees.protocol_share_bps, BPS),
        ("variable_fee_control", fees.variable_fee_control, (1 << 32) - 1),
        ("max_volatility_accumulator", fees.max_volatility_accumulator, (1 << 32) - 1),
        ("accumulator", state.volatility.accumulator, fees.max_volatility_accumulator),
        ("reference", state.volatility.reference, fees.max_volatility_accumulator),
        ("filter_period_s", fees.filter_period_s, fees.decay_period_s),
    ):
        if value > most:
            return f"{name} is {value}, above {most}"
    return None
