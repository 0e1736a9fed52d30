"""Synthetic swaps over given pools: Zipf activity, prices within the fees of each other, and shocks. Called synthetic.

Every mint has a value; a pool's log price is the difference of its mints' values plus a noise below 0.4 of its own
cost. Round a cycle of any length the values cancel and the noises sum to less than the costs, so that no cycle pays.
A *shock* moves one pool beyond that: its own cost, 1.4 times the cheapest way back (one pool of the same pair or two
through a common neighbour, so that noise cannot close it again) and an excess of 5 to 15 basis points. The next swap
is on the same pool and brings it home. So the events that leave a paying cycle are the shocks, ``survivor_rate`` of
all, and no others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.bench.columns import complete, q64, random_bytes, u128, words
from mevflow.operators.codec import codec

_SWAP = codec("mevflow.v1.Swap")
FIRST_SLOT, FIRST_US, SLOT_US, SWAPS_A_SLOT = 300_000_000, 1_725_000_000_000_000, 400_000, 400
LOG_TICK = np.log(1.0001)
_NOISE, _BACK = 0.4, 1.4
_EXCESS = (0.0005, 0.0015)
_TICK_ROOM = 1 << 21
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ranges:
    """Every pool's ranges of constant liquidity, ascending, pool after pool.

    ``key`` is ``pool * 2**21 + tick + 2**20`` of a range's lower tick (the first of a pool is below all ticks);
    ``liquidity`` its ``(ranges, 2)`` words; ``sum_a`` and ``sum_b`` the raw amounts between the pool's first
    boundary and this one, so that a price move's amounts are differences (float64).
    """

    key: Ints
    root: Floats
    liquidity: NDArray[np.uint64]
    depth: Floats
    sum_a: Floats
    sum_b: Floats

    def at(self, pool: Ints, tick: Ints) -> Ints:
        """The range that each price is in."""
        found: Ints = np.searchsorted(self.key, pool * _TICK_ROOM + tick + _TICK_ROOM // 2, "right") - 1
        return found

    def amounts(self, where: Ints, root: Floats) -> tuple[Floats, Floats]:
        """Raw A and B given out and taken on the way up to ``root``, from the pool's first boundary."""
        low, depth = self.root[where], self.depth[where]
        return self.sum_a[where] + depth * (1 / low - 1 / root), self.sum_b[where] + depth * (root - low)


def ranges(pools: list[tuple[list[int], list[int]]]) -> Ranges:
    """From each pool's boundaries (ticks, ascending) and the liquidity from each of them on."""
    counts = [len(ticks) for ticks, _ in pools]
    pool = np.repeat(np.arange(len(pools)), counts)
    tick = np.array([tick for ticks, _ in pools for tick in ticks], np.int64)
    levels = [level for _, liquidity in pools for level in liquidity]
    low = np.array([level & (1 << 64) - 1 for level in levels], np.uint64)
    depth = np.array(levels, np.float64)
    root = np.exp(tick * LOG_TICK / 2)
    same = np.flatnonzero(np.diff(pool, prepend=-1) == 0)
    step_a, step_b = np.zeros(len(pool)), np.zeros(len(pool))
    step_a[same] = depth[same - 1] * (1 / root[same - 1] - 1 / root[same])
    step_b[same] = depth[same - 1] * (root[same] - root[same - 1])
    high = np.array([level >> 64 for level in levels], np.uint64)
    return Ranges(
        pool * _TICK_ROOM + tick + _TICK_ROOM // 2, root, words(low, high), depth, np.cumsum(step_a), np.cumsum(step_b)
    )


@dataclass(frozen=True)
class Pools:
    """The pools of a market. ``centre`` is the log of raw B per raw A that the mints' values give.

    ``reserves``: a constant product, whose messages carry reserves instead of a price. ``start`` is the log price
    before the first swap. ``settling`` pools trade once, in order, before the others do.
    """

    key: list[bytes]
    mint_a: list[bytes]
    mint_b: list[bytes]
    venue: NDArray[np.int32]
    fee_pips: Ints
    reserves: NDArray[np.bool_]
    centre: Floats
    start: Floats
    ranges: Ranges
    settling: Ints

    def state(self, pool: Ints, log_price: Floats) -> FlowState:
        """What each pool is like at a price."""
        tick = np.floor(log_price / LOG_TICK).astype(np.int64)
        root = np.exp(log_price / 2)
        return FlowState(root, tick, self.ranges.at(pool, tick))


@dataclass(frozen=True)
class FlowState:
    """Square roots of prices, ticks, and the ranges of :class:`Ranges` they are in."""

    root: Floats
    tick: Ints
    where: Ints

    def columns(self, pools: Pools, pool: Ints) -> dict[str, object]:
        """The state's columns of a ``Swap`` or a ``PoolUpdate``."""
        product = pools.reserves[pool]
        depth = pools.ranges.depth[self.where]
        return {
            "sqrt_price_x64": u128(q64(self.root), ~product),
            "liquidity": u128(pools.ranges.liquidity[self.where], ~product),
            "tick": np.where(product, 0, self.tick).astype(np.int32),
            "reserve_a": u128(words(_whole(depth / self.root, product)), product),
            "reserve_b": u128(words(_whole(depth * self.root, product)), product),
        }


def _whole(amount: Floats, where: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.where(where, amount, 0.0).astype(np.uint64)


def way_back(pools: Pools, hubs: list[bytes]) -> Floats:
    """The cost of the cheapest way back for each pool, infinite where there is none in two legs or through a hub."""
    cost = _cost(pools)
    tradable = pools.ranges.depth[pools.state(np.arange(len(cost)), pools.centre).where] > 0
    cheapest: dict[bytes, dict[bytes, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for number in np.flatnonzero(tradable).tolist():
        a, b, own = pools.mint_a[number], pools.mint_b[number], float(cost[number])
        for one, two in ((a, b), (b, a)):
            cheapest[one][two] = sorted([*cheapest[one][two], (own, number)])[:2]
    through: dict[tuple[bytes, bytes], float] = {}
    back = np.full(len(cost), np.inf)
    for number in np.flatnonzero(tradable).tolist():
        a, b = sorted((pools.mint_a[number], pools.mint_b[number]))
        if (a, b) not in through:
            thirds = cheapest[a].keys() & cheapest[b].keys()
            if a not in hubs and b not in hubs:
                thirds &= set(hubs)
            through[(a, b)] = min((cheapest[a][t][0][0] + cheapest[b][t][0][0] for t in thirds), default=np.inf)
        beside = min((own for own, other in cheapest[a][b] if other != number), default=np.inf)
        back[number] = min(beside, through[(a, b)])
    return back


def _cost(pools: Pools) -> Floats:
    cost: Floats = -np.log1p(-pools.fee_pips / 1e6)
    return cost


@dataclass(frozen=True)
class Flow:
    """Swaps over ``pools``. ``rank`` are the pools from the most active down; activity ~ 1 / place ** ``zipf``."""

    pools: Pools
    back: Floats
    rank: Ints
    seed: int
    zipf: float
    survivor_rate: float

    def swaps(self, events: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """``events`` swaps in chain order, ``SWAPS_A_SLOT`` a slot. The same market gives the same swaps."""
        pools = self.pools
        count = len(pools.key)
        rng = np.random.default_rng(self.seed)
        weight = np.empty(count)
        weight[self.rank] = 1 / np.arange(1, count + 1) ** self.zipf
        ladder = np.cumsum(weight / weight.sum())
        shockable = np.isfinite(self.back) & self._steady()
        share = float(weight[shockable].sum() / weight.sum())
        # A shock forbids one on the next event; among n free events p n are shocks, so p = rate / (1 - rate).
        wanted = self.survivor_rate / (1 - self.survivor_rate) / share if share else 0.0
        keys, first, second = (pa.array(one, pa.binary()) for one in (pools.key, pools.mint_a, pools.mint_b))
        cost = _cost(pools)
        last = pools.start.copy()
        settling = pools.settling.tolist()
        for start in range(0, events, batch_rows):
            rows = min(batch_rows, events - start)
            pool = np.minimum(np.searchsorted(ladder, rng.random(rows)), count - 1)
            settled = min(rows, max(0, len(settling) - start))
            pool[:settled] = settling[start : start + settled]
            noise = rng.uniform(-_NOISE, _NOISE, rows) * cost[pool]
            drawn = (rng.random(rows) < wanted) & shockable[pool]
            drawn[:settled] = drawn[-1] = False
            shocked = np.flatnonzero(drawn)
            shocked = shocked[np.diff(shocked, prepend=-2) > 1]  # a gap is closed before the next one opens
            moved = pool[shocked]
            beyond = cost[moved] + _BACK * self.back[moved] + rng.uniform(*_EXCESS, len(shocked))
            noise[shocked] = rng.choice([-1.0, 1.0], len(shocked)) * beyond
            pool[shocked + 1] = moved
            noise[shocked + 1] = rng.uniform(-_NOISE, _NOISE, len(shocked)) * cost[moved]
            after = pools.centre[pool] + noise
            before = _before(pool, after, last)
            yield self._batch(rng, np.arange(start, start + rows), pool, before, after, keys, first, second)

    def _steady(self) -> NDArray[np.bool_]:
        """Pools whose liquidity lasts over the widest shock, either way."""
        pools = self.pools
        every = np.arange(len(pools.key))
        span = _cost(pools) + np.where(np.isfinite(self.back), _BACK * self.back, 0.0) + _EXCESS[1]
        low = pools.state(every, pools.centre - span).where
        high = pools.state(every, pools.centre + span).where
        empty = np.concatenate([[0], np.cumsum(pools.ranges.depth <= 0)])
        steady: NDArray[np.bool_] = empty[high + 1] == empty[low]
        return steady

    def _batch(
        self,
        rng: np.random.Generator,
        index: Ints,
        pool: Ints,
        before: Floats,
        after: Floats,
        keys: pa.Array,
        first: pa.Array,
        second: pa.Array,
    ) -> pa.RecordBatch:
        pools, rows = self.pools, len(index)
        state, was = pools.state(pool, after), pools.state(pool, before)
        a_to_b = after < before
        a0, b0 = pools.ranges.amounts(was.where, was.root)
        a1, b1 = pools.ranges.amounts(state.where, state.root)
        of_a, of_b = np.maximum(np.abs(a1 - a0), 1.0), np.maximum(np.abs(b1 - b0), 1.0)
        paid = np.where(a_to_b, of_a, of_b) / (1 - pools.fee_pips[pool] / 1e6)
        take = pa.array(pool)
        mint_a, mint_b, down = first.take(take), second.take(take), pa.array(a_to_b)
        slot = FIRST_SLOT + index // SWAPS_A_SLOT
        columns: dict[str, object] = {
            "chain": np.ones(rows, np.int32),
            "slot": slot.astype(np.uint64),
            "tx_index": (index % SWAPS_A_SLOT).astype(np.uint32),
            "timestamp_us": FIRST_US + (slot - FIRST_SLOT) * SLOT_US,
            "signature": random_bytes(rng, rows, 64),
            "signer": random_bytes(rng, rows, 32),
            "venue": pools.venue[pool],
            "pool": keys.take(take),
            "mint_in": pc.if_else(down, mint_a, mint_b),
            "mint_out": pc.if_else(down, mint_b, mint_a),
            "amount_in": u128(words(_raw(paid))),
            "amount_out": u128(words(_raw(np.where(a_to_b, of_b, of_a)))),
            "fee_pips": pools.fee_pips[pool].astype(np.uint32),
            "a_to_b": down,
            **state.columns(pools, pool),
        }
        return complete(columns, rows, _SWAP.schema)


def _raw(amount: Floats) -> NDArray[np.uint64]:
    return np.minimum(amount, 2.0**63).astype(np.uint64)


def _before(pool: Ints, after: Floats, last: Floats) -> Floats:
    """The log price of each event's pool before the event; ``last`` is carried on to the next batch."""
    order = np.argsort(pool, kind="stable")
    sorted_pool, sorted_after = pool[order], after[order]
    begins = np.flatnonzero(np.diff(sorted_pool, prepend=-1))
    before_sorted = np.empty_like(after)
    before_sorted[1:] = sorted_after[:-1]
    before_sorted[begins] = last[sorted_pool[begins]]
    ends = np.append(begins[1:], len(pool)) - 1
    last[sorted_pool[ends]] = sorted_after[ends]
    before = np.empty_like(after)
    before[order] = before_sorted
    return before


def registry_yaml(hubs: list[bytes], numeraire: bytes) -> str:
    """A registry file that names the market's hubs, as ``arbitrage.detect`` reads it."""
    import base58

    lines = ["tokens:"]
    for number, mint in enumerate(hubs):
        role = "numeraire" if mint == numeraire else "hub"
        text = base58.b58encode(mint).decode()
        lines.append(f"  - {{chain: solana, mint: {text}, symbol: HUB{number}, decimals: 6, role: {role}}}")
    return "\n".join(lines) + "\n"
