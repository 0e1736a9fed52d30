"""The whole state of pools at one block, read from their contracts, as rows of ``PoolUpdate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.amounts import i128, u128, u160
from mevflow.operators.parse.evm.concentrated import MAX_TICK
from mevflow.operators.parse.evm.pools import CURVE, TICKED, TWO_RESERVES, V4, WEIGHTED, EvmPool
from mevflow.sources.evm.balancer import WeightedPoolState, weighted_states
from mevflow.sources.evm.contracts import ContractCall, integer, number, read
from mevflow.sources.evm.curve import CurvePoolState, curve_states
from mevflow.sources.evm.rpc import NodeError, RpcNode
from mevflow.sources.evm.singleton import bitmap_call, liquidity_call, slot0, slot0_call, tick_call


@dataclass(frozen=True, slots=True)
class PairReserves:
    """Raw reserves."""

    reserve_a: int
    reserve_b: int

    def columns(self) -> dict[str, object]:
        """The fields of a ``PoolUpdate`` that state it."""
        return {"reserve_a": u128(self.reserve_a), "reserve_b": u128(self.reserve_b)}


@dataclass(frozen=True, slots=True)
class ConcentratedPoolState:
    """Price (Q64.96), tick, active liquidity, and every initialized tick: (tick, net, gross)."""

    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: tuple[tuple[int, int, int], ...]

    def columns(self) -> dict[str, object]:
        """The fields of a ``PoolUpdate`` that state it."""
        return {
            "sqrt_price_x96": u160(self.sqrt_price_x96),
            "tick": self.tick,
            "liquidity": u128(self.liquidity),
            "ticks": [
                {"tick": tick, "liquidity_net": i128(net), "liquidity_gross": u128(gross)}
                for tick, net, gross in self.ticks
            ],
            "known_tick_lower": -MAX_TICK,
            "known_tick_upper": MAX_TICK,
            "known_range_set": True,
        }


State = PairReserves | ConcentratedPoolState | CurvePoolState | WeightedPoolState


def states(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, State]:
    """The state of each pool at the block with that hash; one that did not exist or had no price is left out."""
    pairs = [pool for pool in pools if pool.venue in TWO_RESERVES]
    found: dict[bytes, State] = {}
    answers = read(node, [ContractCall(pool.address, "getReserves()") for pool in pairs], block)
    for pool, said in zip(pairs, answers, strict=True):
        first, second = number(said), number(said, 1)
        if first and second and not (first | second) >> 128:  # a token may have any supply, and a row 128 bits
            found[pool.address] = PairReserves(first, second)
    found |= curve_states(node, [pool for pool in pools if pool.venue == CURVE], block)
    found |= weighted_states(node, [pool for pool in pools if pool.venue == WEIGHTED], block)
    for pool in pools:
        if pool.venue in TICKED and (state := _concentrated(node, pool, block)) is not None:
            found[pool.address] = state
    return found


def _concentrated(node: RpcNode, pool: EvmPool, block: bytes) -> ConcentratedPoolState | None:
    one = pool.venue == V4
    calls = [slot0_call(pool), liquidity_call(pool)] if one else [_call(pool, "slot0()"), _call(pool, "liquidity()")]
    head, liquidity = read(node, calls, block)
    price, active = number(head), number(liquidity)
    if head is None or price is None or active is None or price == 0:
        return None
    price, tick = slot0(price)[:2] if one else (price, integer(head, 1))
    spacing = pool.tick_spacing
    first, last = (-MAX_TICK // spacing) >> 8, (MAX_TICK // spacing) >> 8
    words = range(first, last + 1)
    asked = [bitmap_call(pool, word) if one else _call(pool, "tickBitmap(int16)", word) for word in words]
    ticks = []
    for word, said in zip(words, read(node, asked, block), strict=True):
        bits = number(said)
        if bits is None:
            raise NodeError(f"has no tick map of {pool.address.hex()}", key=node.name)
        ticks += [((word << 8) + bit) * spacing for bit in range(256) if bits >> bit & 1]
    asked = [tick_call(pool, each) if one else _call(pool, "ticks(int24)", each) for each in ticks]
    known = []
    for each, said in zip(ticks, read(node, asked, block), strict=True):
        if said is None or len(said) < (32 if one else 64):
            raise NodeError(f"has no tick {each} of {pool.address.hex()}", key=node.name)
        gross = int.from_bytes(said[16:32] if one else said[:32], "big")
        net = int.from_bytes(said[:16], "big", signed=True) if one else integer(said, 1)
        known.append((each, net, gross))
    return ConcentratedPoolState(price, tick, active, tuple(known))


def _call(pool: EvmPool, function: str, *words: int) -> ContractCall:
    return ContractCall(pool.address, function, words)
