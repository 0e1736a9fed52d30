"""Detection as plainly as it can be written: after each event, every cycle, in integers.

Nothing is shared with the detector but the venues' exact quotes (which have tests of their own). A cycle can only gain
if the product of its marginal prices net of fees is above one, because every further unit is exchanged at a worse price
than the first; the product is compared exactly, as a fraction of integers. What passes is searched over all inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96, uniswap_v3, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.errors import MevflowError
from mevflow.v1.market_pb2 import VENUE_RAYDIUM_V4, PoolUpdate
from tests.operators.detect.brute_curves import CURVED, Curved

PIPS = 1_000_000
#: (address, token A goes in) a leg.
Cycle = tuple[tuple[bytes, bool], ...]


@dataclass
class Pool:
    """A pool as the messages tell of it."""

    chain: int
    mints: tuple[bytes, bytes]
    fee_pips: int | None = None  # nobody has told it
    spacing: int = 1
    one: int = 0  # of the square-root price; 0: a constant-product pool
    price: int = 0
    liquidity: int = 0
    tick: int = 0
    reserves: tuple[int, int] = (0, 0)
    ticks: dict[int, tuple[int, int]] | None = None  # tick -> (net, gross)
    known: tuple[int, int] = (1, 0)
    denied: bool = False
    unsure: bool = True  # what it holds now is not known
    gone: bool = False  # removed, and not stated whole since
    lost: bool = True  # nor is the liquidity at any tick
    address: bytes = b""
    curved: Curved | None = None  # shared by the faces of a pool
    coins: tuple[int, int] = (0, 1)

    def ends(self, a_to_b: bool) -> tuple[bytes, bytes]:
        """The mint that goes in, the mint that comes out."""
        return self.mints if a_to_b else (self.mints[1], self.mints[0])

    def marginal(self, a_to_b: bool) -> tuple[int, int]:
        """Output per input of the first unit, net of the fee, as a fraction; (0, 1) when nothing is there."""
        if self.curved is not None:
            return self.curved.marginal(*self._way(a_to_b)) if not self.denied else (0, 1)
        if self.unsure or self.gone or self.fee_pips is None:
            return 0, 1
        if self.one:
            b, a = (self.price**2, self.one**2) if self.liquidity else (0, 0)
        else:
            a, b = self.reserves
        if not a or not b or self.denied:
            return 0, 1
        keep = PIPS - self.fee_pips
        return (b * keep, a * PIPS) if a_to_b else (a * keep, b * PIPS)

    def quote(self, a_to_b: bool, amount_in: int) -> int:
        """The exact output; 0 when not all of the input can be taken within what is known."""
        if amount_in <= 0:
            return 0
        if self.curved is not None:
            return self.curved.quote(*self._way(a_to_b), amount_in)
        if self.unsure or self.gone or self.fee_pips is None:
            return 0
        try:
            if not self.one:
                fees = {"fee_a": self.fee_pips, "fee_b": self.fee_pips, "fee_denominator": PIPS}
                pair = uniswap_v2.PairState(*self.reserves, **fees)
                return uniswap_v2.quote_exact_in(pair, a_to_b, amount_in).amount_out
            venue = whirlpool if self.one == 1 << 64 else uniswap_v3
            quote = venue.quote_exact_in(self.state(a_to_b), a_to_b, amount_in)
        except (AmmError, MevflowError):
            return 0
        return quote.amount_out if quote.filled else 0

    def _way(self, a_to_b: bool) -> tuple[int, int]:
        return self.coins if a_to_b else self.coins[::-1]

    def state(self, a_to_b: bool) -> ConcentratedState:
        """As the venue wants it, cut off where a swap would come to a stretch without any liquidity.

        Between two multiples of the spacing there is no tick, whatever the map.
        """
        low = self.tick // self.spacing * self.spacing
        high = low + self.spacing
        if self.known[0] <= high and low <= self.known[1]:
            low, high = min(low, self.known[0]), max(high, self.known[1])
        ticks = sorted(self.ticks or {})
        liquidity = self.liquidity
        assert self.fee_pips is not None
        for tick in reversed(ticks) if a_to_b else ticks:
            if (tick <= self.tick) == a_to_b:
                liquidity += -(self.ticks or {})[tick][0] if a_to_b else (self.ticks or {})[tick][0]
                if liquidity <= 0:
                    low, high = (max(low, tick), high) if a_to_b else (low, min(high, tick))
                    break
        return ConcentratedState(
            sqrt_price=self.price,
            liquidity=self.liquidity,
            tick=self.tick,
            fee_pips=self.fee_pips,
            tick_spacing=self.spacing,
            ticks=tuple(ticks),
            liquidity_net=tuple((self.ticks or {})[tick][0] for tick in ticks),
            known_tick_lower=low,
            known_tick_upper=high,
        )


@dataclass
class BruteForce:
    """The market, and what pays in it. ``hubs`` are (chain, mint): which cycles of three and four legs there are."""

    hubs: set[tuple[int, bytes]]
    max_hops: int = 3
    pools: dict[tuple[int, bytes], Pool] = field(default_factory=dict)

    def apply(self, row: dict[str, Any]) -> tuple[int, bytes]:
        """Take a Swap or a PoolUpdate row, as a dict; gives the pool's key."""
        key = row["chain"], row["pool"]
        swap = "amount_in" in row
        if key not in self.pools:
            a, b = ("mint_in", "mint_out") if swap else ("mint_a", "mint_b")
            mints = (row[b], row[a]) if swap and not row["a_to_b"] else (row[a], row[b])
            fee = 2_500 if row["venue"] == VENUE_RAYDIUM_V4 else None
            self.pools[key] = Pool(row["chain"], mints, fee, address=row["pool"])
        pool = self.pools[key]
        for each in self.pools.values():
            if each.curved is not None:
                each.curved.now_s = row["timestamp_us"] // 1_000_000
        if row["venue"] in CURVED:
            self._apply_curved(pool, row, swap)
            return key
        if row["fee_pips"] >= PIPS:  # a row that is refused: it happened, and nobody knows what it did
            if pool.price or any(pool.reserves):
                pool.unsure = True
            return key
        if not swap:
            whole = row["kind"] in (PoolUpdate.KIND_CREATE, PoolUpdate.KIND_SNAPSHOT)
            pool.gone = row["kind"] == PoolUpdate.KIND_REMOVE or (pool.gone and not whole)
            self._update(pool, row)
        if row["sqrt_price_x64"] or row["sqrt_price_x96"]:
            pool.one = 1 << (64 if row["sqrt_price_x64"] else 96)
            pool.price = int.from_bytes(row["sqrt_price_x64"] or row["sqrt_price_x96"], "little")
            if row["liquidity"]:
                pool.liquidity = int.from_bytes(row["liquidity"], "little")
                pool.tick, pool.unsure, pool.lost = row["tick"], False, False
            else:
                self._by_price(pool, row["a_to_b"])
        if row["reserve_a"] and row["reserve_b"]:
            pool.reserves = int.from_bytes(row["reserve_a"], "little"), int.from_bytes(row["reserve_b"], "little")
            pool.unsure = False
        if row["fee_pips"] or (not swap and row["kind"] == PoolUpdate.KIND_FEE):
            pool.fee_pips = row["fee_pips"]
        if not swap and row["kind"] == PoolUpdate.KIND_REMOVE:
            pool.liquidity, pool.reserves = 0, (0, 0)
        return key

    def _by_price(self, pool: Pool, a_to_b: bool) -> None:
        """A price alone was told: walk from the last tick of which all is known, tick by tick, to the price's own."""
        exact = tick_math_x64 if pool.one == 1 << 64 else tick_math_x96
        tick = exact.tick_at(pool.price)
        edge = (88 if pool.one == 1 << 64 else 256) * pool.spacing
        if a_to_b and exact.price_at(tick) == pool.price and (tick in (pool.ticks or {}) or tick % edge == 0):
            tick -= 1
        at, liquidity = pool.tick, pool.liquidity
        pool.unsure = pool.lost
        while at != tick:
            crossed = at + 1 if tick > at else at
            net = (pool.ticks or {}).get(crossed, (0, 0))[0]
            if crossed % pool.spacing == 0 and not (
                pool.ticks is not None and pool.known[0] <= crossed <= pool.known[1]
            ):
                pool.unsure = True
            liquidity, at = (liquidity + net, at + 1) if tick > at else (liquidity - net, at - 1)
        if liquidity < 0:
            pool.unsure = True
        if not pool.unsure:
            pool.liquidity, pool.tick = liquidity, tick

    def _apply_curved(self, pool: Pool, row: dict[str, Any], swap: bool) -> None:
        if pool.curved is None:
            coins = [coin["mint"] for coin in row["stable"]["coins"]] if row["stable"] else list(pool.mints)
            pool.curved = Curved(coins)
            for i, j in combinations(range(len(coins)), 2):
                name = row["pool"] + (bytes([i, j]) if (i, j) != (0, 1) else b"")
                mints = coins[i], coins[j]
                self.pools[row["chain"], name] = Pool(
                    row["chain"], mints, address=row["pool"], curved=pool.curved, coins=(i, j)
                )
        pool.curved.now_s = row["timestamp_us"] // 1_000_000
        (pool.curved.swap if swap else pool.curved.update)(row)

    def faces(self, key: tuple[int, bytes]) -> list[tuple[int, bytes]]:
        """The pools that an event on ``key`` changes."""
        return [name for name, pool in self.pools.items() if (pool.chain, pool.address) == key]

    def leg(self, chain: int, name: bytes, a_to_b: bool) -> tuple[bytes, bytes, bytes]:
        """Address, mint in and mint out."""
        pool = self.pools[chain, name]
        return (pool.address, *pool.ends(a_to_b))

    def _update(self, pool: Pool, row: dict[str, Any]) -> None:
        pool.spacing = row["tick_spacing"] or pool.spacing
        if row["kind"] in (PoolUpdate.KIND_CREATE, PoolUpdate.KIND_SNAPSHOT):
            pool.ticks = {}
            for each in row["ticks"]:
                net = int.from_bytes(each["liquidity_net"], "little", signed=True)
                pool.ticks[each["tick"]] = net, int.from_bytes(each["liquidity_gross"], "little") or abs(net)
        if row["kind"] == PoolUpdate.KIND_LIQUIDITY and pool.ticks is not None:
            delta = int.from_bytes(row["liquidity_delta"], "little", signed=True)
            for tick, change in ((row["tick_lower"], delta), (row["tick_upper"], -delta)):
                net, gross = pool.ticks.pop(tick, (0, 0))
                # What was there before the first message is not known: at least what the net needs.
                net, gross = net + change, max(gross + delta, abs(net + change))
                if gross:
                    pool.ticks[tick] = net, gross
            if not row["liquidity"] and pool.tick in range(row["tick_lower"], row["tick_upper"]):
                pool.liquidity += delta
        if row["known_range_set"]:
            pool.known = row["known_tick_lower"], row["known_tick_upper"]
        elif row["kind"] == PoolUpdate.KIND_SNAPSHOT:
            pool.known = -887_272, 887_272

    def cycles(self, key: tuple[int, bytes]) -> Iterator[Cycle]:
        """Every directed cycle of two to ``max_hops`` pools through one pool, each once, starting with that pool."""
        chain, first = key
        others = [name for of, name in self.pools if of == chain and name != first]
        for a_to_b in (True, False):
            for count in range(1, self.max_hops):
                for rest in permutations(others, count):
                    if len({self.pools[chain, name].address for name in (first, *rest)}) <= count:
                        continue  # the first swap changes what the second finds
                    cycle = self._walk(chain, (first, *rest), a_to_b)
                    if cycle is not None:
                        yield cycle

    def _walk(self, chain: int, names: tuple[bytes, ...], a_to_b: bool) -> Cycle | None:
        """The directions that make a closed round of the pools through distinct mints, or None."""
        start, here = self.pools[chain, names[0]].ends(a_to_b)
        legs, seen = [(names[0], a_to_b)], [start]
        for name in names[1:]:
            mints = self.pools[chain, name].mints
            if here not in mints or here in seen:
                return None
            seen.append(here)
            legs.append((name, mints[0] == here))
            here = self.pools[chain, name].ends(legs[-1][1])[1]
        if here != start or not self._allowed([(chain, mint) in self.hubs for mint in seen]):
            return None
        return tuple(legs)

    def _allowed(self, hubs: list[bool]) -> bool:
        """Three legs touch a hub; four have hubs at two opposite corners. ``hubs``: which corners are hubs."""
        if len(hubs) == 4:
            return (hubs[0] and hubs[2]) or (hubs[1] and hubs[3])
        return len(hubs) == 2 or any(hubs)

    def gap(self, chain: int, cycle: Cycle) -> bool:
        """Whether the first unit gains; where a pool's curve is computed in whole units, almost."""
        if any(self.pools[chain, name].curved for name, _ in cycle):
            gain, cost = 10**9 + 1, 10**9
        else:
            gain, cost = 1, 1
        for name, a_to_b in cycle:
            up, down = self.pools[chain, name].marginal(a_to_b)
            gain, cost = gain * up, cost * down
        return gain > cost

    def amounts(self, chain: int, cycle: Cycle, amount_in: int) -> list[int]:
        """The amounts along a cycle; zeros from where it fails."""
        amounts = [amount_in]
        for name, a_to_b in cycle:
            amounts.append(self.pools[chain, name].quote(a_to_b, amounts[-1]))
        return amounts

    def best(self, chain: int, cycle: Cycle) -> tuple[int, int]:
        """(input, profit) of the best input; profit 0 when none gains."""

        def profit(amount: int) -> int:
            return self.amounts(chain, cycle, amount)[-1] - amount

        # Bracket the peak, then narrow by thirds: profit rises to it and falls from it, but for rounding.
        gained = [profit(1 << power) for power in range(100)]
        top = max(range(100), key=gained.__getitem__)
        low, high = 1 << top >> 2, 4 << top
        while high - low > 64:
            third = (high - low) // 3
            left, right = low + third, high - third
            if profit(left) < profit(right):
                low = left
            else:
                high = right
        found = max(range(max(1, low - 64), high + 65), key=profit)
        return (found, profit(found)) if profit(found) > 0 else (0, 0)
