"""The whole state of pools at one block, read from their contracts, as rows of ``PoolUpdate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.amounts import i128, u128, u160
from mevflow.operators.parse.evm.concentrated import MAX_TICK
from mevflow.operators.parse.evm.pools import TWO_RESERVES, EvmPool
from mevflow.sources.evm.contracts import ContractCall, integer, number, read
from mevflow.sources.evm.rpc import NodeError, RpcNode


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


State = PairReserves | ConcentratedPoolState


def states(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, State]:
    """The state of each pool at the block with that hash; a pool that did not exist or had no price is left out."""
    pairs = [pool for pool in pools if pool.venue in TWO_RESERVES]
    found: dict[bytes, State] = {}
    answers = read(node, [ContractCall(pool.address, "getReserves()") for pool in pairs], block)
    for pool, said in zip(pairs, answers, strict=True):
        first, second = number(said), number(said, 1)
        if first and second:
            found[pool.address] = PairReserves(first, second)
    for pool in pools:
        if pool.venue not in TWO_RESERVES and (state := _concentrated(node, pool, block)) is not None:
            found[pool.address] = state
    return found


def _concentrated(node: RpcNode, pool: EvmPool, block: bytes) -> ConcentratedPoolState | None:
    slot0, liquidity = read(
        node, [ContractCall(pool.address, "slot0()"), ContractCall(pool.address, "liquidity()")], block
    )
    price, active = number(slot0), number(liquidity)
    if slot0 is None or price is None or active is None or price == 0:
        return None
    spacing = pool.tick_spacing
    first, last = (-MAX_TICK // spacing) >> 8, (MAX_TICK // spacing) >> 8
    words = range(first, last + 1)
    maps = read(node, [ContractCall(pool.address, "tickBitmap(int16)", (word,)) for word in words], block)
    ticks = []
    for word, said in zip(words, maps, strict=True):
        bits = number(said)
        if bits is None:
            raise NodeError(f"has no tick map of {pool.address.hex()}", key=node.name)
        ticks += [((word << 8) + bit) * spacing for bit in range(256) if bits >> bit & 1]
    told = read(node, [ContractCall(pool.address, "ticks(int24)", (tick,)) for tick in ticks], block)
    known = []
    for tick, said in zip(ticks, told, strict=True):
        if said is None or len(said) < 64:
            raise NodeError(f"has no tick {tick} of {pool.address.hex()}", key=node.name)
        known.append((tick, integer(said, 1), int.from_bytes(said[:32], "big")))
    return ConcentratedPoolState(price, integer(slot0, 1), active, tuple(known))
