"""A curve's state as bytes and back, for snapshots and the notes of forks."""

from __future__ import annotations

import json
from dataclasses import astuple

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, DlmmState, FeeRule, Volatility
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.detect.book.curves import Curve

_NAMES: dict[type[Curve], str] = {
    SaberState: "saber",
    SolidlyState: "solidly",
    StableState: "stable",
    WeightedState: "weighted",
}


def saved(curve: Curve | None) -> bytes:
    """A state as bytes (JSON, whose integers may have any size)."""
    if curve is None:
        return b""
    if isinstance(curve, DlmmState):
        bins = [(number, *astuple(found)) for number, found in curve.bins.items()]
        rest = curve.limit_orders, curve.fee_in_b_only, (curve.known_lower, curve.known_upper)
        whole = curve.bin_step_bps, curve.active_id, astuple(curve.fees), astuple(curve.volatility), bins, *rest
        return json.dumps(["bins", *whole]).encode()
    return json.dumps([_NAMES[type(curve)], *astuple(curve)]).encode()


def loaded(raw: bytes) -> Curve | None:
    """The state that :func:`saved` made bytes of."""
    if not raw:
        return None
    name, *fields = json.loads(raw)
    if name == "saber":
        return SaberState(*fields)
    if name == "solidly":
        return SolidlyState(*fields)
    if name == "stable":
        balances, rates, *rest = fields
        return StableState(tuple(balances), tuple(rates), *rest)
    if name == "weighted":
        balances, weights, scales, fee = fields
        return WeightedState(tuple(balances), tuple(weights), tuple(scales), fee)
    step, active, fees, volatility, bins, orders, fee_in_b, known = fields
    held = {number: Bin(*found) for number, *found in bins}
    return dlmm.state_of(step, active, FeeRule(*fees), Volatility(*volatility), held, orders, fee_in_b, tuple(known))
