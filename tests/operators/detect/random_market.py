"""Small random markets: pools of every kind over five tokens, and what happens to them. Made from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import base58
import pyarrow as pa
from google.protobuf.message import Message

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96
from mevflow.operators.codec import codec
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.random_curves import ALL, RandomCurve

USDC = base58.b58decode("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = base58.b58decode("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
SOL = base58.b58decode("So11111111111111111111111111111111111111112")
MINTS = (USDC, USDT, SOL, b"x" * 32, b"y" * 32)
SPACING = 16
PLAIN = ("x64", "x96", "reserves")
START_US = 1_700_000_000_000_000


@dataclass
class RandomPool:
    """What the generator keeps of a pool; ``positions`` are (lower, upper, liquidity)."""

    name: bytes
    kind: str  # "x64", "x96", "reserves", or one of ALL
    mints: tuple[bytes, bytes]
    fee_pips: int
    positions: list[tuple[int, int, int]] = field(default_factory=list)
    tick: int = 0
    state: dict[str, object] = field(default_factory=dict)

    def active(self) -> int:
        """The liquidity at the tick."""
        return sum(liquidity for lower, upper, liquidity in self.positions if lower <= self.tick < upper)


@dataclass
class RandomMarket:
    """``batches`` are what happened, in chain order, an update a pool first."""

    seed: int
    pools: int = 6
    events: int = 30
    kinds: tuple[str, ...] = PLAIN
    lacking: float = 0.0  # so many of the swaps leave out what they might have told, or are refused

    def batches(self) -> list[pa.RecordBatch]:
        """One batch of updates and one of swaps."""
        random = Random(self.seed)
        worth = {mint: random.uniform(-0.02, 0.02) for mint in MINTS}
        book = [self._pool(random, number) for number in range(self.pools)]
        messages: list[Message] = []
        omit = Random(-self.seed - 1)
        curves = {pool.name: RandomCurve(random, pool.name, pool.kind, pool.mints, MINTS, worth) for pool in book}
        for place, pool in enumerate(book):
            if pool.kind in ALL:
                messages.append(curves[pool.name].whole(_place(place)))
                continue
            self._move(random, pool, worth)
            if pool.kind != "reserves":
                pool.positions = [self._position(random, pool.tick) for _ in range(random.randint(1, 4))]
                pool.state["liquidity"] = _u128(pool.active())
            messages.append(self._update(pool, place, market.PoolUpdate.KIND_SNAPSHOT, random))
        for place in range(self.pools, self.pools + self.events):
            pool = random.choice(book)
            what = random.random()
            if pool.kind in ALL:
                messages.append(curves[pool.name].happens(_place(place)))
                continue
            if what < 0.75:
                self._move(random, pool, worth)
                messages.append(self._lacking(omit, self._swap(random, pool, place)))
            elif what < 0.9 and pool.kind != "reserves":
                messages.append(self._bare(omit, self._liquidity(random, pool, place)))
            elif what < 0.95:
                pool.fee_pips = random.choice((100, 500, 2500, 3000))
                messages.append(self._update(pool, place, market.PoolUpdate.KIND_FEE, random))
            elif len(book) > 2:
                book.remove(pool)
                pool.state = {}
                messages.append(self._update(pool, place, market.PoolUpdate.KIND_REMOVE, random))
        return [
            codec(f"mevflow.v1.{name}").decode(
                pa.array([m.SerializeToString() for m in messages if m.DESCRIPTOR.name == name], pa.binary())
            )
            for name in ("PoolUpdate", "Swap")
        ]

    def _lacking(self, omit: Random, swap: market.Swap) -> market.Swap:
        """The swap without its tick and liquidity, without its fee, or with a fee that no pool has."""
        what = omit.random() / self.lacking if self.lacking else 1.0
        if what < 0.6 and (swap.sqrt_price_x64 or swap.sqrt_price_x96):
            swap.ClearField("liquidity")
            swap.ClearField("tick")
        elif what < 0.8:
            swap.ClearField("fee_pips")
        elif what < 1.0:
            swap.fee_pips = 1_000_000
        return swap

    def _bare(self, omit: Random, update: market.PoolUpdate) -> market.PoolUpdate:
        """A change of liquidity that does not repeat the pool's state."""
        if omit.random() < self.lacking:
            for name in ("sqrt_price_x64", "sqrt_price_x96", "liquidity", "tick"):
                update.ClearField(name)
        return update

    def _pool(self, random: Random, number: int) -> RandomPool:
        first, second = random.sample(MINTS, 2)
        kind = random.choice(self.kinds)
        return RandomPool(bytes([number + 1]) * 32, kind, (first, second), random.choice((100, 500, 2500, 3000)))

    def _move(self, random: Random, pool: RandomPool, worth: dict[bytes, float]) -> None:
        """A new price, near what the tokens are worth."""
        log_price = worth[pool.mints[0]] - worth[pool.mints[1]] + random.gauss(0, 0.004)
        if pool.kind == "reserves":
            size = 10 ** random.randint(2, 14)
            pool.state = {
                "reserve_a": _u128(size + random.randrange(size)),
                "reserve_b": _u128(max(1, int(size * 2.718281828**log_price))),
            }
            return
        pool.tick = int(log_price / 0.0001)
        exact = tick_math_x64 if pool.kind == "x64" else tick_math_x96
        low, high = exact.price_at(pool.tick), exact.price_at(pool.tick + 1)
        price = random.choice((low, low + random.randrange(high - low)))
        name, width = ("sqrt_price_x64", 16) if pool.kind == "x64" else ("sqrt_price_x96", 20)
        pool.state = {name: price.to_bytes(width, "little"), "liquidity": _u128(pool.active()), "tick": pool.tick}

    def _position(self, random: Random, near: int) -> tuple[int, int, int]:
        lower = (near // SPACING + random.randint(-30, 10)) * SPACING
        return lower, lower + random.randint(1, 60) * SPACING, 10 ** random.randint(2, 16) + random.randrange(100)

    def _liquidity(self, random: Random, pool: RandomPool, place: int) -> market.PoolUpdate:
        if pool.positions and random.random() < 0.4:
            lower, upper, liquidity = pool.positions.pop(random.randrange(len(pool.positions)))
            liquidity = -liquidity
        else:
            lower, upper, liquidity = self._position(random, pool.tick)
            pool.positions.append((lower, upper, liquidity))
        pool.state["liquidity"] = _u128(pool.active())
        update = self._update(pool, place, market.PoolUpdate.KIND_LIQUIDITY, random)
        update.tick_lower, update.tick_upper = lower, upper
        update.liquidity_delta = liquidity.to_bytes(16, "little", signed=True)
        return update

    def _update(self, pool: RandomPool, place: int, kind: int, random: Random) -> market.PoolUpdate:
        update = market.PoolUpdate(
            **_place(place),
            pool=pool.name,
            kind=kind,
            mint_a=pool.mints[0],
            mint_b=pool.mints[1],
            fee_pips=pool.fee_pips,
            tick_spacing=0 if pool.kind == "reserves" else SPACING,
            **pool.state,
        )
        if kind == market.PoolUpdate.KIND_SNAPSHOT:
            edges: dict[int, list[int]] = {}
            for lower, upper, liquidity in pool.positions:
                for tick, change in ((lower, liquidity), (upper, -liquidity)):
                    net, gross = edges.get(tick, (0, 0))
                    edges[tick] = [net + change, gross + liquidity]
            for tick, (net, gross) in sorted(edges.items()):
                update.ticks.add(
                    tick=tick, liquidity_net=net.to_bytes(16, "little", signed=True), liquidity_gross=_u128(gross)
                )
            if random.random() < 0.4:
                update.known_range_set = True
                update.known_tick_lower = pool.tick - random.randint(-40, 400)
                update.known_tick_upper = pool.tick + random.randint(-40, 400)
        return update

    def _swap(self, random: Random, pool: RandomPool, place: int) -> market.Swap:
        a_to_b = random.random() < 0.5
        mint_in, mint_out = pool.mints if a_to_b else pool.mints[::-1]
        return market.Swap(
            **_place(place),
            pool=pool.name,
            mint_in=mint_in,
            mint_out=mint_out,
            amount_in=_u128(1),
            amount_out=_u128(1),
            a_to_b=a_to_b,
            fee_pips=pool.fee_pips,
            **pool.state,
        )


def _place(number: int) -> dict[str, int]:
    """Three events a slot, half a second a slot."""
    slot = 1_000 + number // 3
    return {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "tx_index": number % 3,
        "timestamp_us": START_US + slot * 500_000,
    }


def _u128(value: int) -> bytes:
    return value.to_bytes(16, "little")
