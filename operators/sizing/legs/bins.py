"""Legs through bins: Meteora DLMM, whose fee moves with the price."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.bins.dlmm_math import FEE_PRECISION, fee_rate
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.sizing.legs.leg import Stretch
from mevflow.operators.sizing.legs.stretches import INF, StretchCurve
from mevflow.v1 import market_pb2 as market

_ONE = 1 << 64


@dataclass(slots=True)
class BinsLeg:
    """A swap through a DLMM pair at chain time ``now_s``, on which its fee depends."""

    state: DlmmState
    a_to_b: bool
    now_s: int
    venue: int = market.VENUE_METEORA_DLMM

    @property
    def uneven(self) -> bool:
        """The fee falls while a swap comes back to where volatility is counted from."""
        state = self.state
        start = state.volatility.at(self.now_s, state.active_id, state.fees)
        behind = start.index_reference < state.active_id if self.a_to_b else start.index_reference > state.active_id
        return behind and state.fees.variable_fee_control > 0

    def quote(self, amount_in: int) -> int | None:
        """The exact output, 0 for too little to swap, or None when the known bins do not take all of it."""
        try:
            found = dlmm.quote_exact_in(self.state, self.a_to_b, amount_in, self.now_s)
        except AmmError:
            return 0 if amount_in < _ONE else None
        return found.amount_out if found.filled else None

    def cost(self, amount_out: int) -> int | None:
        """The input that the program asks for ``amount_out``."""
        try:
            found = dlmm.quote_exact_out(self.state, self.a_to_b, amount_out, self.now_s)
        except AmmError:
            return None
        return found.amount_in if found.filled else None

    def stretches(self) -> Iterator[Stretch]:
        """One a bin, at a constant price; its width is what empties it, fee included."""
        state, a_to_b = self.state, self.a_to_b
        ids, rule = state.bin_ids, state.fees
        if a_to_b:
            places = range(bisect_right(ids, state.active_id) - 1, bisect_left(ids, state.known_lower) - 1, -1)
        else:
            places = range(bisect_left(ids, state.active_id), bisect_right(ids, state.known_upper))
        volatility = state.volatility.at(self.now_s, state.active_id, rule)
        for place in places:
            found = state.bins[ids[place]]
            available = found.amount_b if a_to_b else found.amount_a
            if state.limit_orders and found.order_is_ask != a_to_b:
                available += found.processed_order + found.open_order
            if not available:
                continue
            volatility = volatility.in_bin(ids[place], rule)
            rate = fee_rate(
                state.bin_step_bps,
                rule.base_factor,
                rule.base_fee_power,
                rule.variable_fee_control,
                volatility.accumulator,
            )
            keep = 1.0 - rate / FEE_PRECISION
            price = (found.price / _ONE if a_to_b else _ONE / found.price) * keep
            # A fee on the output is taken from what the bin holds.
            net = available * keep if state.fee_in_b_only and a_to_b else available
            s = 1.0 / math.sqrt(price)
            yield s, s, INF, net / price

    def curve(self) -> StretchCurve:
        """The curve in floats."""
        return StretchCurve(self.stretches(), self.uneven)
