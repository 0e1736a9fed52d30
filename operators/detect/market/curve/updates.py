"""What a ``PoolUpdate`` says of a curve that is beside the book (:mod:`mevflow.operators.detect.book.curves`).

What a message says in part is taken where the rest is certain, and otherwise what is in doubt is forgotten until a
message says it whole: nothing is sized through what nobody knows (ADR 41, ADR 48).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, DlmmState, FeeRule, Volatility
from mevflow.operators.amm.bins.dlmm_math import BPS, MAX_BIN_ID, MIN_BIN_ID
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, StableState
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.detect.book.curves import CoinCurve, Curve, SwapRow, told_whole, with_balances
from mevflow.operators.detect.told import BinFeesTold, BinTold, CurveTold, UpdateTold
from mevflow.v1 import market_pb2 as market

_UNSPECIFIED = market.PoolUpdate.KIND_UNSPECIFIED
_LIQUIDITY, _FEE, _REMOVE = (
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_REMOVE,
)
_WHOLE = (market.PoolUpdate.KIND_CREATE, market.PoolUpdate.KIND_SNAPSHOT)
_PIPS_TO_FEE, _PIPS_TO_SHARE = FEE_DENOMINATOR // 10**6, ONE // 10**6


def updated(
    curve: Curve | None, one: UpdateTold, venue: int, behind: bool, held: tuple[int, int] = (0, 1)
) -> Curve | None:
    """The state after a ``PoolUpdate``, a dict by field. Raises AmmError.

    ``behind``: a later event has been applied. ``held``: which coins the row's reserves A and B are of.
    """
    if one["kind"] == _REMOVE:
        return curve if behind else None
    if one["kind"] == _UNSPECIFIED and one["stable"] is None:  # it changed, and nobody knows how
        return curve if behind and told_whole(curve) else None
    if one["stable"] is not None or isinstance(curve, CoinCurve | SaberState):
        return curve if behind else _numbered(curve, one, venue, held)
    return _bins(curve if isinstance(curve, DlmmState) else None, one, behind)


def _numbered(curve: Curve | None, one: UpdateTold, venue: int, held: tuple[int, int]) -> Curve | None:
    told = one["stable"]
    if told is not None and told["coins"]:
        if venue == market.VENUE_BALANCER_WEIGHTED:
            return _whole_weighted(told)
        return _whole_stable(told, venue == market.VENUE_SABER)
    if not isinstance(curve, CoinCurve | SaberState):
        return None
    if told is not None:
        curve = _with_rule(curve, told)
    elif one["kind"] == _FEE and one["fee_pips"]:
        pips = one["fee_pips"]
        if isinstance(curve, SaberState):
            curve = replace(curve, fee_numerator=pips, fee_denominator=10**6)
        elif isinstance(curve, WeightedState):
            curve = replace(curve, fee=pips * _PIPS_TO_SHARE)
        else:
            curve = replace(curve, fee=pips * _PIPS_TO_FEE)
    a, b = _unsigned(one["reserve_a"]), _unsigned(one["reserve_b"])
    if a and b and told_whole(curve):
        return with_balances(curve, SwapRow(*held, 0, 0, a, b, 0, 0))
    # Liquidity came or went, and nobody says how much.
    return None if one["kind"] in (_LIQUIDITY, *_WHOLE) and told is None else curve


def _whole_stable(told: CurveTold, saber_pool: bool) -> Curve:
    balances = tuple(_unsigned(coin["balance"]) for coin in told["coins"])
    amp, precision = told["amp"], told["amp_precision"] or 1
    if amp * len(balances) < precision:
        raise AmmError(f"an amplification of {amp} in units of {precision} is no stable-swap curve")
    fee, of = told["fee_numerator"], told["fee_denominator"] or FEE_DENOMINATOR
    admin, admin_of = told["admin_fee_numerator"], told["admin_fee_denominator"] or FEE_DENOMINATOR
    if fee >= of or admin > admin_of:
        raise AmmError("a fee of more than there is")
    if saber_pool:
        if len(balances) != 2:
            raise AmmError(f"a Saber pool of {len(balances)} coins")
        return SaberState(*balances, amp, fee, of, admin, admin_of)
    rates = tuple(_unsigned(coin["rate"]) for coin in told["coins"])
    if not all(rates):
        raise AmmError("a coin's rate is not told: what its units are is in nothing else")
    return StableState(
        balances,
        rates,
        amp,
        precision,
        fee * FEE_DENOMINATOR // of,
        admin * FEE_DENOMINATOR // admin_of,
        offpeg_fee_multiplier=told["offpeg_fee_multiplier"],
        one_division=told["one_division"],
    )


def _whole_weighted(told: CurveTold) -> WeightedState:
    coins = told["coins"]
    balances, scales = (
        tuple(_unsigned(coin["balance"]) for coin in coins),
        tuple(_unsigned(coin["rate"]) for coin in coins),
    )
    weights = tuple(_unsigned(coin["weight"]) for coin in coins)
    if sum(weights) != ONE or not all(weights) or not all(scales):
        raise AmmError(f"weights of {', '.join(map(str, weights))} are no shares of {ONE}, or a rate is not told")
    return WeightedState(balances, weights, scales, _share(told))


def _share(told: CurveTold) -> int:
    """A weighted pool's fee, which is never nothing."""
    fee, of = told["fee_numerator"], told["fee_denominator"] or ONE
    if not 0 < fee < of:
        raise AmmError(f"no weighted pool takes {fee} of {of}")
    return fee * ONE // of


def _with_rule(curve: CoinCurve | SaberState, told: CurveTold) -> CoinCurve | SaberState:
    """Another amplification or fee; what is 0 stays."""
    if isinstance(curve, WeightedState):
        return replace(curve, fee=_share(told)) if told["fee_numerator"] else curve
    amp = told["amp"] or curve.amp
    fee, of = told["fee_numerator"], told["fee_denominator"] or FEE_DENOMINATOR
    if fee >= of:
        raise AmmError("a fee of more than there is")
    if isinstance(curve, SaberState):
        return replace(curve, amp=amp, **({"fee_numerator": fee, "fee_denominator": of} if fee else {}))
    if amp * len(curve.balances) < curve.amp_precision:
        raise AmmError(f"an amplification of {amp} in units of {curve.amp_precision} is no stable-swap curve")
    return replace(
        curve,
        amp=amp,
        fee=fee * FEE_DENOMINATOR // of if fee else curve.fee,
        offpeg_fee_multiplier=told["offpeg_fee_multiplier"] or curve.offpeg_fee_multiplier,
    )


def _bins(curve: DlmmState | None, one: UpdateTold, behind: bool) -> DlmmState | None:
    kind, told = one["kind"], one["bin_fees"]
    if kind in _WHOLE:
        return curve if behind else _whole_bins(one, told) if told is not None else None
    if curve is None:
        return None
    if kind == _FEE:
        # What is late and in doubt is forgotten.
        return None if told is None or behind else replace(curve, fees=_fee_rule(told, curve.fees))
    if kind != _LIQUIDITY:
        return curve
    bins = {each["id"]: _bin(each) for each in one["bins"]}
    unknown = set(bins) if behind else set()
    lower, upper = one["tick_lower"], one["tick_upper"]
    ranged = lower != upper or lower != 0
    if not bins and not ranged:
        return None  # nobody says which bins
    if ranged:
        unknown |= set(range(max(lower, MIN_BIN_ID), min(upper, MAX_BIN_ID) + 1)) - (set() if behind else set(bins))
    curve = curve if behind else _with_bins(curve, bins)
    return _without(curve, unknown)


def _whole_bins(one: UpdateTold, told: BinFeesTold) -> DlmmState:
    step = one["tick_spacing"]
    if not 0 < step <= BPS or not MIN_BIN_ID <= one["tick"] <= MAX_BIN_ID:
        raise AmmError(f"bin {one['tick']} at step {step} is none")
    known = MIN_BIN_ID, MAX_BIN_ID
    if one["known_range_set"]:
        known = max(one["known_tick_lower"], MIN_BIN_ID), min(one["known_tick_upper"], MAX_BIN_ID)
    return dlmm.state_of(
        step,
        one["tick"],
        _fee_rule(told, None),
        Volatility(
            told["volatility_accumulator"], told["volatility_reference"], told["index_reference"], told["last_update_s"]
        ),
        {each["id"]: _bin(each) for each in one["bins"]},
        told["limit_orders"],
        told["fee_in_b_only"],
        known,
    )


def _fee_rule(told: BinFeesTold, before: FeeRule | None) -> FeeRule:
    """Base fee and the rest; with a base fee alone the rest stays."""
    if before is not None and not told["decay_period_s"]:
        return replace(before, base_factor=told["base_factor"], base_fee_power=told["base_fee_power"])
    fields = cast("Mapping[str, int]", told)
    return FeeRule(*(fields[name] for name in _FEE_FIELDS))


_FEE_FIELDS = tuple(FeeRule.__dataclass_fields__)


def _bin(told: BinTold) -> Bin:
    raw = told["amount_a"], told["amount_b"], told["open_order"], told["processed_order"]
    a, b, opened, processed = (_unsigned(amount) for amount in raw)
    return Bin(0, a, b, opened, processed, told["order_is_ask"])


def _with_bins(curve: DlmmState, bins: dict[int, Bin]) -> DlmmState:
    if not bins:
        return curve
    return dlmm.state_of(
        curve.bin_step_bps, curve.active_id, curve.fees, curve.volatility, {**curve.bins, **bins},
        curve.limit_orders, curve.fee_in_b_only, (curve.known_lower, curve.known_upper),
    )  # fmt: skip


def _without(curve: DlmmState, unknown: set[int]) -> DlmmState | None:
    """The state with the known range cut off before the nearest unknown bins; None if the active bin is one."""
    if curve.active_id in unknown:
        return None
    below = [number for number in unknown if number < curve.active_id]
    above = [number for number in unknown if number > curve.active_id]
    lower = max([curve.known_lower, *(number + 1 for number in below)])
    upper = min([curve.known_upper, *(number - 1 for number in above)])
    return replace(curve, known_lower=lower, known_upper=upper)


def coins_of(told: CurveTold | None) -> Sequence[bytes]:
    """The mints of a stable-swap pool in the contract's order, where they are told."""
    return [coin["mint"] for coin in told["coins"]] if told else ()


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
