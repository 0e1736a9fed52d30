"""Pools with a curve of their own for the brute force: what the messages say, and the venues' exact quotes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, DlmmState, FeeRule, Volatility
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import saber, solidly
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.invariant import invariant
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.v1.market_pb2 import (
    VENUE_AERODROME_STABLE,
    VENUE_BALANCER_WEIGHTED,
    VENUE_CURVE_STABLE,
    VENUE_METEORA_DLMM,
    VENUE_SABER,
    PoolUpdate,
)

CURVED = (VENUE_METEORA_DLMM, VENUE_CURVE_STABLE, VENUE_SABER, VENUE_AERODROME_STABLE, VENUE_BALANCER_WEIGHTED)
_RULE = (
    *("base_factor", "base_fee_power", "filter_period_s", "decay_period_s", "reduction_factor_bps"),
    *("variable_fee_control", "max_volatility_accumulator", "protocol_share_bps"),
)
_MOVED = ("volatility_accumulator", "volatility_reference", "index_reference", "last_update_s")
#: The invariant is computed with so many more digits than balances have.
_FINE = 10**20


@dataclass
class Curved:
    """``state`` is None where what is known is not all of it."""

    coins: list[bytes]
    state: StableState | SaberState | SolidlyState | DlmmState | WeightedState | None = None
    now_s: int = 0
    unknown: set[int] = field(default_factory=set)
    gone: bool = False

    def quote(self, i: int, j: int, amount_in: int) -> int:
        """The exact output; 0 where the pool does not take all of the input."""
        state = self.state
        if self.gone:
            return 0
        try:
            if isinstance(state, SolidlyState):
                return solidly.quote_direct(state, i == 0, amount_in).amount_out
            if isinstance(state, WeightedState):
                return weighted.quote_exact_in(state, i, j, amount_in).amount_out
            if isinstance(state, StableState):
                return stable_swap.quote_exact_in(state, i, j, amount_in).amount_out
            if isinstance(state, SaberState):
                return saber.quote_exact_in(state, i == 0, amount_in).amount_out
            if isinstance(state, DlmmState):
                found = dlmm.quote_exact_in(state, i == 0, amount_in, self.now_s)
                return found.amount_out if found.filled else 0
        except AmmError:
            pass
        return 0

    def marginal(self, i: int, j: int) -> tuple[int, int]:
        """The first unit's price net of the least fee that any time may ask."""
        state = self.state
        if isinstance(state, DlmmState):
            return self._bin_price(state, i == 0)
        if state is None or self.gone:
            return 0, 1
        if isinstance(state, SolidlyState):
            return _solidly_price(state, i == 0)
        if isinstance(state, WeightedState):
            price = Fraction(state.balances[j] * state.weights[i], state.balances[i] * state.weights[j])
            price *= 1 - Fraction(state.fee, 10**18)
            return price.numerator, price.denominator
        if isinstance(state, SaberState):
            xp, rates, amp, precision = [state.reserve_a, state.reserve_b], [1, 1], state.amp, 1
            keep = 1 - Fraction(state.fee_numerator, state.fee_denominator)
        else:
            xp, rates, amp, precision = state.scaled(), list(state.rates), state.amp, state.amp_precision
            keep = 1 - Fraction(state.fee, 10**10)
        if not all(xp):
            return 0, 1
        ann = Fraction(amp * len(xp), precision)
        d = Fraction(invariant([x * _FINE for x in xp], amp, precision), _FINE)
        product = d
        for x in xp:
            product *= d / (x * len(xp))
        price = (ann + product / xp[i]) / (ann + product / xp[j]) * keep * rates[i] / rates[j]
        return price.numerator, price.denominator

    def _bin_price(self, state: DlmmState, a_to_b: bool) -> tuple[int, int]:
        base = state.fees.base_factor * state.bin_step_bps * 10
        ids = [n for n, held in state.bins.items() if (held.amount_b if a_to_b else held.amount_a)]
        ids = [n for n in ids if state.known_lower <= n <= state.known_upper]
        ids = [n for n in ids if (n <= state.active_id if a_to_b else n >= state.active_id)]
        if not ids:
            return 0, 1
        price = state.bins[max(ids) if a_to_b else min(ids)].price
        up, down = (price, 1 << 64) if a_to_b else (1 << 64, price)
        return up * (10**9 - base), down * 10**9

    def swap(self, row: dict[str, Any]) -> None:
        """Two balances after it, or amounts that the rule must agree with."""
        if isinstance(self.state, SolidlyState):
            self._pair(self.state, row)
            return
        state, i, j = self.state, self.coins.index(row["mint_in"]), self.coins.index(row["mint_out"])
        paid, got = _integer(row["amount_in"]), _integer(row["amount_out"])
        if state is None:
            return
        if isinstance(state, WeightedState):
            balances = list(state.balances)
            balances[i], balances[j] = balances[i] + paid, balances[j] - got
            self.state = replace(state, balances=tuple(balances))
            return
        if row["reserve_a"]:
            held = _integer(row["reserve_a"]), _integer(row["reserve_b"])
            at = (i, j) if row["a_to_b"] else (j, i)
            balances = list(state.balances if isinstance(state, StableState) else (state.reserve_a, state.reserve_b))  # type: ignore[union-attr]
            for place, balance in zip(at, held, strict=True):
                balances[place] = balance
            self._balances(balances)
            return
        if self.quote(i, j, paid) != got:
            self.state = None
        elif isinstance(state, StableState):
            self.state = stable_swap.quote_exact_in(state, i, j, paid).applied_to(state)
        elif isinstance(state, DlmmState):
            after = dlmm.quote_exact_in(state, i == 0, paid, self.now_s).applied_to(state)
            self.state = after if after.active_id == row["tick"] else None

    def _balances(self, balances: list[int]) -> None:
        state = self.state
        if isinstance(state, SaberState):
            self.state = SaberState(*balances, state.amp, state.fee_numerator, state.fee_denominator)
        elif isinstance(state, StableState):
            self.state = replace(state, balances=tuple(balances))

    def update(self, row: dict[str, Any]) -> None:
        """Whole states, bins that changed, and ranges of bins of which nothing is known."""
        if row["venue"] == VENUE_AERODROME_STABLE:
            self.gone = row["kind"] == PoolUpdate.KIND_REMOVE or (self.gone and row["kind"] != PoolUpdate.KIND_SNAPSHOT)
            if row["kind"] == PoolUpdate.KIND_SNAPSHOT:
                units = 10 ** row["decimals_a"], 10 ** row["decimals_b"]
                self.state = SolidlyState(1, 1, *units, row["fee_pips"])
            assert isinstance(self.state, SolidlyState)
            self._pair(self.state, row)
            return
        if row["kind"] == PoolUpdate.KIND_REMOVE:
            self.state = None
        elif row["stable"]:
            told = row["stable"]
            balances = tuple(_integer(coin["balance"]) for coin in told["coins"])
            if row["venue"] == VENUE_BALANCER_WEIGHTED:
                weights, scales = (tuple(_integer(coin[name]) for coin in told["coins"]) for name in ("weight", "rate"))
                self.state = WeightedState(balances, weights, scales, told["fee_numerator"])
            elif row["venue"] == VENUE_SABER:
                self.state = SaberState(*balances, told["amp"], told["fee_numerator"], told["fee_denominator"])
            else:
                rates = tuple(_integer(coin["rate"]) for coin in told["coins"])
                fees = told["fee_numerator"], told["admin_fee_numerator"]
                self.state = StableState(
                    *(balances, rates, told["amp"], told["amp_precision"], *fees),
                    offpeg_fee_multiplier=told["offpeg_fee_multiplier"],
                    one_division=told["one_division"],
                )
        elif row["kind"] == PoolUpdate.KIND_SNAPSHOT:
            told = row["bin_fees"]
            known = (row["known_tick_lower"], row["known_tick_upper"]) if row["known_range_set"] else (-443636, 443636)
            rule, moved = FeeRule(*(told[name] for name in _RULE)), Volatility(*(told[name] for name in _MOVED))
            bins = {each["id"]: _bin(each) for each in row["bins"]}
            self.state = dlmm.state_of(row["tick_spacing"], row["tick"], rule, moved, bins, known=known)
        elif isinstance(self.state, DlmmState):
            self._bins(self.state, row)

    def _pair(self, state: SolidlyState, row: dict[str, Any]) -> None:
        """Reserves and a fee, where they are told; without reserves only a fee leaves them as they were."""
        kind = row.get("kind")
        if row["fee_pips"] or kind == PoolUpdate.KIND_FEE:
            state = replace(state, fee_pips=row["fee_pips"])
        if row["reserve_a"]:
            state = replace(state, reserve_a=_integer(row["reserve_a"]), reserve_b=_integer(row["reserve_b"]))
        elif kind not in (PoolUpdate.KIND_FEE, PoolUpdate.KIND_REMOVE):
            state = replace(state, reserve_a=0, reserve_b=0)
        self.state = state

    def _bins(self, state: DlmmState, row: dict[str, Any]) -> None:
        if not row["bins"] and row["tick_lower"] == row["tick_upper"] == 0:
            self.state = None  # no range is told
            return
        bins = {**state.bins, **{each["id"]: _bin(each) for each in row["bins"]}}
        low, high = state.known_lower, state.known_upper
        for number in range(row["tick_lower"], row["tick_upper"] + 1):
            if number not in {each["id"] for each in row["bins"]}:
                low = max(low, number + 1) if number < state.active_id else low
                high = min(high, number - 1) if number > state.active_id else high
                if number == state.active_id:
                    self.state = None
                    return
        rest = state.bin_step_bps, state.active_id, state.fees, state.volatility
        self.state = dlmm.state_of(*rest, bins, known=(low, high))


def _solidly_price(state: SolidlyState, a_to_b: bool) -> tuple[int, int]:
    """The slope of x³y + xy³, net of the fee."""
    if not state.reserve_a:
        return 0, 1
    held = (state.reserve_a, state.unit_a), (state.reserve_b, state.unit_b)
    (x, unit_x), (y, unit_y) = held if a_to_b else held[::-1]
    a, b = Fraction(x, unit_x), Fraction(y, unit_y)
    price = b * (3 * a * a + b * b) / (a * (a * a + 3 * b * b)) * Fraction(10**6 - state.fee_pips, 10**6)
    price *= Fraction(unit_y, unit_x)
    return price.numerator, price.denominator


def _bin(told: dict[str, Any]) -> Bin:
    return Bin(0, _integer(told["amount_a"]), _integer(told["amount_b"]))


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
