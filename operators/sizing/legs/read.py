"""Legs from JSON objects: a venue, a direction, and the state's integers (docs/detection.md, "Sizing").

An integer may be a JSON number or a string of digits. Keys that a venue does not have are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, FeeRule, Volatility
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from mevflow.operators.amm.pairs.pump_swap import PumpSwapState
from mevflow.operators.amm.stable.metapool import MetaState
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, StableState
from mevflow.operators.amm.stable.tricrypto import CryptoState
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.sizing.legs import (
    BinsLeg,
    ConcentratedLeg,
    Leg,
    MetaLeg,
    PumpSwapLeg,
    ReservesLeg,
    SaberLeg,
    SolidlyLeg,
    StableLeg,
    TricryptoLeg,
    WeightedLeg,
    contradictions,
)
from mevflow.operators.sizing.venues import concentrated_rules
from mevflow.v1 import market_pb2 as market

_X64, _X96 = 1 << 64, 1 << 96
_NOTHING: Any = object()
#: More than a word holds as a power of ten.
_MOST_DECIMALS = 77
_VAULT_DECIMALS = 18


class LegError(ValueError):
    """A leg that is not one; the message names the key."""


class _Keys:
    """The keys of one object, each taken once."""

    def __init__(self, found: Any, where: str) -> None:
        if not isinstance(found, Mapping):
            raise LegError(f"{where} is an object, not {found!r:.40}")
        self._left, self._where = dict(found), where

    def raw(self, key: str, default: Any = _NOTHING) -> Any:
        if key in self._left:
            return self._left.pop(key)
        if default is _NOTHING:
            raise LegError(f"{self._where} has no {key}")
        return default

    def integer(self, key: str, default: Any = _NOTHING, least: int | None = 0) -> int:
        value = whole(self.raw(key, default), f"{key} of {self._where}")
        if least is not None and value < least:
            raise LegError(f"{key} of {self._where} is at least {least}, not {value}")
        return value

    def flag(self, key: str, default: Any = _NOTHING) -> bool:
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise LegError(f"{key} of {self._where} is true or false, not {value!r:.40}")
        return value

    def integers(self, key: str, count: int | None = None, least: int | None = 0) -> tuple[int, ...]:
        values = self.raw(key)
        if not isinstance(values, list) or (count is not None and len(values) != count):
            raise LegError(f"{key} of {self._where} is a list{'' if count is None else f' of {count}'}")
        found = tuple(whole(value, f"{key} of {self._where}") for value in values)
        if least is not None and any(value < least for value in found):
            raise LegError(f"{key} of {self._where} holds numbers of at least {least}")
        return found

    def refuse(self, contradiction: str | None) -> None:
        """Raise LegError where the object's own numbers contradict each other."""
        if contradiction is not None:
            raise LegError(f"{self._where}: {contradiction}")

    def done(self) -> None:
        if self._left:
            raise LegError(f"{self._where} has no key {', '.join(sorted(map(str, self._left)))}")


def whole(value: Any, what: str) -> int:
    """An integer given as a number or as digits. Raises LegError."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise LegError(f"{what} is an integer, not {value!r:.40}")
    try:
        return int(value)
    except ValueError:
        raise LegError(f"{what} is an integer, not {value!r:.40}") from None


def leg(found: Any, where: str = "leg") -> Leg:
    """The leg that ``found`` describes. Raises LegError."""
    keys = _Keys(found, where)
    venue = keys.raw("venue")
    if not isinstance(venue, str) or venue not in _VENUES:
        raise LegError(f"venue of {where} is one of {', '.join(_VENUES)}; not {venue!r:.40}")
    try:
        made = _VENUES[venue](keys)
    except AmmError as refused:
        raise LegError(f"{where}: {refused}") from refused
    keys.done()
    return made


def _reserves(venue: int, default_fee: int) -> Callable[[_Keys], Leg]:
    def make(keys: _Keys) -> Leg:
        reserves = keys.integer("reserve_a", least=1), keys.integer("reserve_b", least=1)
        fee = _fee(keys, default_fee)
        keys.refuse(contradictions.of_reserves(venue, reserves, fee))
        return ReservesLeg(reserves, fee, keys.flag("a_to_b"), venue)

    return make


def _concentrated(venue: int, one: int) -> Callable[[_Keys], Leg]:
    def make(keys: _Keys) -> Leg:
        ticks = keys.raw("ticks", [])
        if not isinstance(ticks, list) or not all(isinstance(tick, list) and len(tick) == 2 for tick in ticks):
            raise LegError("ticks are a list of [tick, liquidity_net]")
        pairs = sorted((whole(tick, "a tick"), whole(net, "liquidity_net")) for tick, net in ticks)
        if len({tick for tick, _ in pairs}) < len(pairs):
            raise LegError("a tick is named twice")
        state = ConcentratedState(
            sqrt_price=keys.integer("sqrt_price_x64" if one == _X64 else "sqrt_price_x96", least=1),
            liquidity=keys.integer("liquidity"),
            tick=keys.integer("tick", least=None),
            fee_pips=_fee(keys),
            tick_spacing=keys.integer("tick_spacing", least=1),
            ticks=tuple(tick for tick, _ in pairs),
            liquidity_net=tuple(net for _, net in pairs),
            known_tick_lower=keys.integer("known_tick_lower", -887272, least=None),
            known_tick_upper=keys.integer("known_tick_upper", 887272, least=None),
        )
        rules, _ = concentrated_rules(venue, one == _X64)
        keys.refuse(contradictions.of_ticks(rules, state, "sqrt_price_x64" if one == _X64 else "sqrt_price_x96"))
        return ConcentratedLeg(state, keys.flag("a_to_b"), one, venue, keys.flag("through_empty", True))

    return make


def _fee(keys: _Keys, default: Any = _NOTHING) -> int:
    fee = keys.integer("fee_pips", default)
    if fee >= 1_000_000:
        raise LegError(f"fee_pips is below 1000000, not {fee}")
    return fee


def _stable_state(keys: _Keys) -> StableState:
    balances = keys.integers("balances", least=1)
    if not 2 <= len(balances) <= 8:
        raise LegError("balances are those of 2 to 8 coins")
    return StableState(
        balances=balances,
        rates=keys.integers("rates", len(balances), least=1),
        amp=keys.integer("amp", least=1),
        amp_precision=keys.integer("amp_precision", 1, least=1),
        fee=keys.integer("fee"),
        admin_fee=keys.integer("admin_fee", 0),
        lp_supply=keys.integer("lp_supply", 0),
        offpeg_fee_multiplier=keys.integer("offpeg_fee_multiplier", 0),
        one_division=keys.flag("one_division", False),
    )


def _coins(keys: _Keys, count: int) -> tuple[int, int]:
    i, j = keys.integer("i"), keys.integer("j")
    if i == j or max(i, j) >= count:
        raise LegError(f"i and j are two different coins of {count}")
    return i, j


def _curve(keys: _Keys) -> Leg:
    state = _stable_state(keys)
    keys.refuse(contradictions.of_stable(state))
    return StableLeg(state, *_coins(keys, len(state.balances)))


def _curve_meta(keys: _Keys) -> Leg:
    pool, base = _Keys(keys.raw("pool"), "pool"), _Keys(keys.raw("base"), "base")
    state = MetaState(_stable_state(pool), _stable_state(base))
    if max(state.pool.offpeg_fee_multiplier, state.base.offpeg_fee_multiplier) > FEE_DENOMINATOR:
        raise LegError("offpeg_fee_multiplier: a metapool with an off-peg fee is not covered; docs/venues.md")
    pool.refuse(contradictions.of_stable(state.pool))
    base.refuse(contradictions.of_stable(state.base))
    pool.done()
    base.done()
    return MetaLeg(state, *_coins(keys, 1 + len(state.base.balances)))


def _tricrypto(keys: _Keys) -> Leg:
    b, p, s = keys.integers("balances", 3, 1), keys.integers("precisions", 3, 1), keys.integers("price_scale", 2, 1)
    state = CryptoState(
        balances=(b[0], b[1], b[2]),
        precisions=(p[0], p[1], p[2]),
        price_scale=(s[0], s[1]),
        **{key: keys.integer(key) for key in ("ann", "gamma", "d", "mid_fee", "out_fee", "fee_gamma")},
        multiplier=keys.integer("multiplier", 10_000, least=1),
        ramping=keys.flag("ramping", False),
    )
    keys.refuse(contradictions.of_tricrypto(state))
    return TricryptoLeg(state, *_coins(keys, 3))


def _pump_swap(keys: _Keys) -> Leg:
    state = PumpSwapState(
        reserve_a=keys.integer("reserve_a", least=1),
        reserve_b=keys.integer("reserve_b", least=1),
        lp_fee_bps=keys.integer("lp_fee_bps"),
        protocol_fee_bps=keys.integer("protocol_fee_bps"),
        creator_fee_bps=keys.integer("creator_fee_bps", 0),
        cashback_fee_bps=keys.integer("cashback_fee_bps", 0),
    )
    keys.refuse(contradictions.of_pump_swap(state))
    return PumpSwapLeg(state, keys.flag("a_to_b"))


def _saber(keys: _Keys) -> Leg:
    state = SaberState(
        reserve_a=keys.integer("reserve_a", least=1),
        reserve_b=keys.integer("reserve_b", least=1),
        amp=keys.integer("amp", least=1),
        fee_numerator=keys.integer("fee_numerator"),
        fee_denominator=keys.integer("fee_denominator", least=1),
    )
    keys.refuse(contradictions.of_saber(state))
    return SaberLeg(state, keys.flag("a_to_b"))


def _solidly(keys: _Keys) -> Leg:
    decimals = keys.integers("decimals", 2)
    if max(decimals) > _MOST_DECIMALS:
        raise LegError(f"decimals are up to {_MOST_DECIMALS}")
    state = SolidlyState(
        reserve_a=keys.integer("reserve_a", least=1),
        reserve_b=keys.integer("reserve_b", least=1),
        unit_a=10 ** decimals[0],
        unit_b=10 ** decimals[1],
        fee_pips=_fee(keys, 500),
    )
    keys.refuse(contradictions.of_solidly(state))
    return SolidlyLeg(state, keys.flag("a_to_b"))


def _weighted(keys: _Keys) -> Leg:
    balances = keys.integers("balances", least=1)
    decimals = keys.integers("decimals", len(balances))
    if max(decimals) > _VAULT_DECIMALS:
        raise LegError(f"decimals are up to {_VAULT_DECIMALS}")
    weights = keys.integers("weights", len(balances), least=1)
    scales = tuple(10 ** (36 - each) for each in decimals)
    state = WeightedState(balances, weights, scales, keys.integer("fee"))
    keys.refuse(contradictions.of_weighted(state))
    return WeightedLeg(state, *_coins(keys, len(balances)))


def _dlmm(keys: _Keys) -> Leg:
    rule, moved = _Keys(keys.raw("fees"), "fees"), _Keys(keys.raw("volatility", {}), "volatility")
    active = keys.integer("active_id", least=None)
    fees = FeeRule(
        base_factor=rule.integer("base_factor"),
        base_fee_power=rule.integer("base_fee_power", 0),
        filter_period_s=rule.integer("filter_period_s", 0),
        decay_period_s=rule.integer("decay_period_s", 0),
        reduction_factor_bps=rule.integer("reduction_factor_bps", 0),
        variable_fee_control=rule.integer("variable_fee_control", 0),
        max_volatility_accumulator=rule.integer("max_volatility_accumulator", 0),
        protocol_share_bps=rule.integer("protocol_share_bps", 0),
    )
    volatility = Volatility(
        accumulator=moved.integer("accumulator", 0),
        reference=moved.integer("reference", 0),
        index_reference=moved.integer("index_reference", active, least=None),
        last_update_s=moved.integer("last_update_s", 0),
    )
    rule.done()
    moved.done()
    bins = keys.raw("bins")
    if not isinstance(bins, list) or not all(isinstance(each, list) and len(each) in (3, 4) for each in bins):
        raise LegError("bins are a list of [bin_id, amount_a, amount_b] or [bin_id, amount_a, amount_b, price_x64]")
    made = {}
    for each in bins:
        numbers = [whole(value, "a bin's number") for value in each]
        if numbers[0] in made:
            raise LegError(f"bins name {numbers[0]} twice")
        made[numbers[0]] = Bin(numbers[3] if len(numbers) == 4 else 0, numbers[1], numbers[2])
    state = dlmm.state_of(
        keys.integer("bin_step_bps", least=1),
        active,
        fees,
        volatility,
        made,
        fee_in_b_only=keys.flag("fee_in_b_only", False),
        known=(keys.integer("known_lower", -443636, least=None), keys.integer("known_upper", 443636, least=None)),
    )
    keys.refuse(contradictions.of_bins(state))
    return BinsLeg(state, keys.flag("a_to_b"), keys.integer("now_s", 0))


_VENUES: dict[str, Callable[[_Keys], Leg]] = {
    "uniswap_v2": _reserves(market.VENUE_UNISWAP_V2, 3_000),
    "aerodrome_volatile": _reserves(market.VENUE_AERODROME_VOLATILE, 3_000),
    "raydium_v4": _reserves(market.VENUE_RAYDIUM_V4, 2_500),
    "raydium_cpmm": _reserves(market.VENUE_RAYDIUM_CPMM, 2_500),
    "pump_swap": _pump_swap,
    "uniswap_v3": _concentrated(market.VENUE_UNISWAP_V3, _X96),
    "slipstream": _concentrated(market.VENUE_SLIPSTREAM, _X96),
    "uniswap_v4": _concentrated(market.VENUE_UNISWAP_V4, _X96),
    "orca_whirlpool": _concentrated(market.VENUE_ORCA_WHIRLPOOL, _X64),
    "raydium_clmm": _concentrated(market.VENUE_RAYDIUM_CLMM, _X64),
    "meteora_dlmm": _dlmm,
    "curve_stable": _curve,
    "curve_meta": _curve_meta,
    "curve_tricrypto": _tricrypto,
    "saber": _saber,
    "aerodrome_stable": _solidly,
    "balancer_weighted": _weighted,
}
