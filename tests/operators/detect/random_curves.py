"""What happens to random pools with curves of their own: Saber, Curve of two and three coins, Balancer, DLMM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from google.protobuf.message import Message

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, DlmmState, FeeRule, Volatility
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import solidly
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.v1 import market_pb2 as market

CURVES = ("saber", "curve2", "curve3", "bins")
SOLIDLY, WEIGHTED = "solidly", "weighted3"
ALL = (*CURVES, SOLIDLY, WEIGHTED)
_VENUES = {
    "saber": market.VENUE_SABER,
    "bins": market.VENUE_METEORA_DLMM,
    SOLIDLY: market.VENUE_AERODROME_STABLE,
    WEIGHTED: market.VENUE_BALANCER_WEIGHTED,
}
_RULE = ("base_factor", "base_fee_power", "filter_period_s", "decay_period_s", "reduction_factor_bps")
_RULE += ("variable_fee_control", "max_volatility_accumulator", "protocol_share_bps")
_MOVED = ("accumulator", "reference", "index_reference", "last_update_s")


class RandomCurve:
    """A pool, and what the messages so far have told of it."""

    def __init__(
        self,
        random: Random,
        name: bytes,
        kind: str,
        mints: tuple[bytes, bytes],
        all_mints: Sequence[bytes],
        worth: dict[bytes, float],
    ) -> None:
        self.random, self.name, self.kind, self.worth = random, name, kind, worth
        self.mints = list(mints)
        self.venue = _VENUES.get(kind, market.VENUE_CURVE_STABLE)
        if kind not in ALL:
            return
        if kind.endswith("3"):
            self.mints.append(random.choice([mint for mint in all_mints if mint not in mints]))
        self._new()

    def _new(self) -> None:
        random = self.random
        if self.kind == SOLIDLY:
            size = 10 ** random.randint(6, 14)
            tilt = 1 + 20 * (self.worth[self.mints[0]] - self.worth[self.mints[1]])
            held = int(size * random.uniform(0.8, 1.2)), int(size * tilt)
            self.solid = SolidlyState(*held, 10**6, 10**6, random.choice((100, 500, 3_000)))
            return
        if self.kind == WEIGHTED:
            size, shares = 10 ** random.randint(6, 14), random.choice(((50, 30, 20), (10, 10, 80), (1, 49, 50)))
            # Of a coin with a larger weight, or that is worth less, there is more.
            held = (size * share * (1 - self.worth[mint]) for mint, share in zip(self.mints, shares, strict=True))
            weights = tuple(share * ONE // 100 for share in shares)
            fee = random.choice((10**12, 3 * 10**14, 10**16))
            self.product = WeightedState(tuple(map(int, held)), weights, (10**30,) * 3, fee)
            return
        if self.kind != "bins":
            size = 10 ** random.randint(6, 14)
            balances = tuple(int(size * random.uniform(0.3, 3.0)) for _ in self.mints)
            # A coin that is worth more counts for more.
            rates = tuple(int(10**18 * (1 + self.worth[mint])) for mint in self.mints)
            precision = random.choice((1, 100))
            amp = random.randint(1, 800) * precision
            fee = random.choice((1_000_000, 4_000_000, 20_000_000))
            self.stable = StableState(balances, rates, amp, precision, fee, random.choice((0, 5 * 10**9)))
            if self.kind != "saber" and precision == 100:  # as NG pools are
                self.stable = replace(self.stable, offpeg_fee_multiplier=balances[0] % 6 * 10**10, one_division=True)
            return
        step = random.choice((1, 5, 20))
        log_price = self.worth[self.mints[0]] - self.worth[self.mints[1]] + random.gauss(0, 0.004)
        active = int(log_price / (step / 10_000))
        size = 10 ** random.randint(4, 12)
        bins = {}
        for number in range(active - 15, active + 16):
            if random.random() < 0.7:
                a = random.randrange(size) if number >= active else 0
                b = random.randrange(size) if number <= active else 0
                bins[number] = Bin(0, a, b)
        control = random.choice((0, 40_000, 400_000))
        rule = FeeRule(random.choice((1_000, 10_000)), 0, 2, 6, 5_000, control, 350_000, 500)
        known = random.choice(((-443636, 443636), (active - 9, active + 7)))
        self.pair = dlmm.state_of(step, active, rule, Volatility(0, 0, active, 0), bins, known=known)

    def whole(self, place: dict[str, int]) -> Message:
        """A snapshot."""
        first = {"pool": self.name, "venue": self.venue, "mint_a": self.mints[0], "mint_b": self.mints[1]}
        update = market.PoolUpdate(**place, **first, kind=market.PoolUpdate.KIND_SNAPSHOT)
        if self.kind == SOLIDLY:
            update.decimals_a = update.decimals_b = 6
            update.reserve_a, update.reserve_b = _u128(self.solid.reserve_a), _u128(self.solid.reserve_b)
            update.fee_pips = self.solid.fee_pips
            return update
        if self.kind == WEIGHTED:
            product = self.product
            update.stable.fee_numerator, update.stable.fee_denominator = product.fee, ONE
            for mint, *numbers in zip(self.mints, product.balances, product.scales, product.weights, strict=True):
                balance, rate, weight = map(_u128, numbers)
                update.stable.coins.add(mint=mint, balance=balance, rate=rate, weight=weight)
            return update
        if self.kind != "bins":
            told, state = update.stable, self.stable
            told.amp, told.amp_precision = state.amp, state.amp_precision
            told.fee_numerator, told.fee_denominator, told.admin_fee_numerator = state.fee, 10**10, state.admin_fee
            told.offpeg_fee_multiplier, told.one_division = state.offpeg_fee_multiplier, state.one_division
            if self.kind == "saber":
                told.amp, told.amp_precision = max(state.amp // state.amp_precision, 1), 1
            for mint, balance, rate in zip(self.mints, state.balances, state.rates, strict=True):
                told.coins.add(mint=mint, balance=_u128(balance), rate=_u128(rate))
            return update
        pair = self.pair
        update.tick, update.tick_spacing = pair.active_id, pair.bin_step_bps
        for name in _RULE:
            setattr(update.bin_fees, name, getattr(pair.fees, name))
        for name in _MOVED:
            to = name if name in ("index_reference", "last_update_s") else f"volatility_{name}"
            setattr(update.bin_fees, to, getattr(pair.volatility, name))
        self._bins(update, list(pair.bins))
        if pair.known_lower > -443636:
            update.known_range_set = True
            update.known_tick_lower, update.known_tick_upper = pair.known_lower, pair.known_upper
        return update

    def _bins(self, update: market.PoolUpdate, ids: list[int]) -> None:
        for number in ids:
            held = self.pair.bins[number]
            update.bins.add(id=number, amount_a=_u128(held.amount_a), amount_b=_u128(held.amount_b))

    def happens(self, place: dict[str, int]) -> Message:
        """A swap, mostly; else liquidity, a snapshot, or the end."""
        what = self.random.random()
        if what < 0.75:
            return self._swap(place)
        if what < 0.85 and self.kind == "bins":
            return self._liquidity(place)
        if what < 0.85 and self.kind == SOLIDLY:
            self.solid = replace(self.solid, fee_pips=self.random.choice((0, 100, 10_000)))
            told = {"pool": self.name, "venue": self.venue, "fee_pips": self.solid.fee_pips}
            return market.PoolUpdate(**place, **told, kind=market.PoolUpdate.KIND_FEE)
        if what < 0.9 and self.kind == SOLIDLY:
            self.solid = replace(self.solid, reserve_b=self.solid.reserve_b + self.solid.reserve_a // 50)
            held = {"reserve_a": _u128(self.solid.reserve_a), "reserve_b": _u128(self.solid.reserve_b)}
            lost = self.random.random() < 0.3  # nobody could read what it holds
            return market.PoolUpdate(**place, pool=self.name, venue=self.venue, **({} if lost else held))
        if what < 0.97:
            self._new()
            return self.whole(place)
        return market.PoolUpdate(**place, pool=self.name, venue=self.venue, kind=market.PoolUpdate.KIND_REMOVE)

    def _liquidity(self, place: dict[str, int]) -> Message:
        pair, random = self.pair, self.random
        update = market.PoolUpdate(**place, pool=self.name, venue=self.venue, kind=market.PoolUpdate.KIND_LIQUIDITY)
        at = pair.active_id + random.randint(-8, 8)
        update.tick_lower, update.tick_upper = at, at + random.randint(0, 3)
        if random.random() < 0.5:
            bins = dict(pair.bins)
            for number in range(update.tick_lower, update.tick_upper + 1):
                size = random.randrange(10**9)
                bins[number] = Bin(0, size * (number >= pair.active_id), size * (number <= pair.active_id))
            rest = pair.bin_step_bps, pair.active_id, pair.fees, pair.volatility
            self.pair = dlmm.state_of(*rest, bins, known=(pair.known_lower, pair.known_upper))
            self._bins(update, list(range(update.tick_lower, update.tick_upper + 1)))
        return update

    def _swap(self, place: dict[str, int]) -> Message:
        random = self.random
        i, j = random.sample(range(len(self.mints)), 2)
        swap = market.Swap(**place, pool=self.name, venue=self.venue, mint_in=self.mints[i], mint_out=self.mints[j])
        swap.a_to_b = i < j
        if self.kind == SOLIDLY:
            paid, got = self._through_pair(swap, i == 0)
        elif self.kind == WEIGHTED:
            paid, got = self._through_product(i, j)
        elif self.kind == "bins":
            paid, got = self._through_bins(swap, i == 0, place["timestamp_us"] // 1_000_000)
        else:
            paid, got = self._through_coins(swap, i, j)
        if self.kind != WEIGHTED:  # which holds what the rows tell, whatever its rule
            got += random.random() < 0.05
        swap.amount_in, swap.amount_out = _u128(paid), _u128(got)
        return swap

    def _through_product(self, i: int, j: int) -> tuple[int, int]:
        state = self.product
        paid = self.random.randrange(1, max(min(state.balances) // 8, 2))
        try:
            found = weighted.quote_exact_in(state, i, j, paid)
        except AmmError:
            return 0, 0
        self.product = found.applied_to(state)
        return paid, found.amount_out

    def _through_pair(self, swap: market.Swap, a_to_b: bool) -> tuple[int, int]:
        state = self.solid
        paid = self.random.randrange(1, max(min(state.reserve_a, state.reserve_b) // 50, 2))
        try:
            found = solidly.quote_exact_in(state, a_to_b, paid)
        except AmmError:
            return paid, 0
        self.solid = replace(state, reserve_a=found.reserve_a_after, reserve_b=found.reserve_b_after)
        swap.reserve_a, swap.reserve_b = _u128(found.reserve_a_after), _u128(found.reserve_b_after)
        if self.random.random() < 0.3:
            swap.fee_pips = state.fee_pips
        return paid, found.amount_out

    def _through_bins(self, swap: market.Swap, a_to_b: bool, now_s: int) -> tuple[int, int]:
        pair: DlmmState = self.pair
        held = sum(each.amount_a + each.amount_b for each in pair.bins.values())
        paid = self.random.randrange(1, max(held // 8, 2))
        found = dlmm.quote_exact_in(pair, a_to_b, paid, now_s)
        swap.tick = found.active_id_after
        if found.filled:
            self.pair = found.applied_to(pair)
        return paid, found.amount_out

    def _through_coins(self, swap: market.Swap, i: int, j: int) -> tuple[int, int]:
        state = self.stable
        # Not so much that a unit of what is left is worth hundreds of the other: rounding would be all that counts.
        paid = self.random.randrange(1, max(min(state.balances) // 4, 2))
        try:
            found = stable_swap.quote_exact_in(state, i, j, paid)
            self.stable = found.applied_to(state)
            got = found.amount_out
        except AmmError:
            got = 0
        if self.kind == "saber" or self.random.random() < 0.5:
            a, b = (i, j) if swap.a_to_b else (j, i)
            swap.reserve_a, swap.reserve_b = _u128(self.stable.balances[a]), _u128(self.stable.balances[b])
        return paid, got


def _u128(value: int) -> bytes:
    return value.to_bytes(16, "little")
