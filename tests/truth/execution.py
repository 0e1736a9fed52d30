"""A detector beside the chain that it watches: its state, its quotes and its opportunities, held against contracts.

The chain is read block by block as ``evm.source`` reads it, but only when told to, so that an opportunity can be
executed on the chain and taken back before the next block.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from mevflow.operators.amm.concentrated import uniswap_v3
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.codec import codec
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.evm.blocks import Block, LogFilter
from mevflow.sources.evm.collect import EVENTS, CollectedRows, PoolCollector
from mevflow.sources.evm.contracts import integer, number
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower, Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.sources.evm.source import located
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, Pool, word
from tests.evm.world import World

ETHEREUM = market.CHAIN_ETHEREUM
_SCHEMAS = {"updates": codec("mevflow.v1.PoolUpdate").located, "swaps": codec("mevflow.v1.Swap").located}


@dataclass
class Figures:
    """How often the product and the chain were held against each other; none may differ."""

    states: int = 0
    quotes: int = 0
    executed: int = 0
    legs: int = 0
    different: list[str] = field(default_factory=list)


#: (seed, fee tiers) of the worlds that are tried.
WORLDS = ((1, (500, 3000)), (2, (100, 10_000)), (3, (100, 500, 3000, 10_000)))


def watch(seed: int, fees: tuple[int, ...], blocks: int, folder: Path) -> Figures:
    """Let people act on a chain for so many blocks, comparing everything after each."""
    chain = Chain()
    try:
        watched = Watched(World(chain, fees), folder, max_hops=3)
        chance = random.Random(seed)
        watched.observe()
        for _ in range(blocks):
            for _ in range(chance.choice((1, 1, 1, 3))):
                watched.world.act(chance)
            chain.mine()
            found = watched.observe()
            watched.compare_states()
            watched.compare_quotes(int(10 ** chance.uniform(3, 23)))
            for row in found:
                watched.execute(row)
    finally:
        chain.close()
    return watched.figures


class Watched:
    """A world and the detector that watches it."""

    def __init__(self, world: World, folder: Path, **settings: Any) -> None:
        self.world, self.chain, self.figures = world, world.chain, Figures()
        registry = folder / "pools.yaml"
        roles = ("numeraire", "hub", "hub")
        tokens = [
            {"chain": "ethereum", "mint": "0x" + token.hex(), "symbol": f"T{i}", "decimals": 18, "role": role}
            for i, (token, role) in enumerate(zip(world.tokens, roles, strict=True))
        ]
        with registry.open("w") as file:
            YAML().dump({"tokens": tokens}, file)
        self.stage = ArbitrageDetect(
            DetectSettings(registry=str(registry), min_profit_usd=0.0, **settings), StageContext("truth", "found")
        )
        nodes = Nodes([EndpointSettings(url=self.chain.url, max_rps=1e6)])
        self._follower = Follower(nodes, LogFilter(EVENTS))
        factories = (
            Factory(address="0x" + world.v2.hex(), kind="pairs", fee_pips=3000),
            Factory(address="0x" + world.v3.hex(), kind="concentrated"),
        )
        self._collector = PoolCollector(ETHEREUM, "ethereum", nodes, {one.key: one for one in factories})
        self._take(self._collector.fork(self._follower.start(0)))

    def observe(self) -> list[dict[str, Any]]:
        """Read what the chain has further; the opportunities that are open after its last event."""
        rows = self.read()
        if not rows:
            return []
        last = max((row["slot"], row["tx_index"], row["ix_index"]) for row in rows)
        return [row for row in rows if not row["closed"] and (row["slot"], row["tx_index"], row["ix_index"]) == last]

    def read(self) -> list[dict[str, Any]]:
        """Read what the chain has further; all opportunity rows."""
        rows: list[dict[str, Any]] = []
        while steps := self._follower.step():
            for step in steps:
                if isinstance(step, Fork):
                    rows += self._take(self._collector.fork(step))
                elif isinstance(step, Block):
                    rows += self._take(self._collector.take([step]))
        return rows

    def _take(self, collected: CollectedRows) -> list[dict[str, Any]]:
        given = []
        for port, batch in (("updates", collected.updates), ("swaps", collected.swaps)):
            if batch is not None:
                given += self.stage.process(port, located(batch, _SCHEMAS[port], "evm:ethereum", self._follower.forks))
        for port in ("updates", "swaps"):
            given += self.stage.on_watermark(port, Watermark(CAUGHT_UP_US))
        return [row for port, batch in given if port == "opportunities" for row in batch.to_pylist()]

    def compare_states(self) -> None:
        """Every pool's row of the detector with its contract."""
        for pool in (*self.world.pairs, *self.world.concentrated):
            self.figures.states += 1
            if (said := self._said(pool)) != (known := self._known(pool)):
                self.figures.different.append(f"block {self.chain.head()}: {pool} is {said}, thought {known}")

    def compare_quotes(self, amount: int) -> None:
        """Both directions of every pool, with the router's and the quoter's word."""
        for pool in (*self.world.pairs, *self.world.concentrated):
            for a_to_b in (True, False):
                token_in, token_out = (pool.token0, pool.token1) if a_to_b else (pool.token1, pool.token0)
                ours = self.quote(pool, a_to_b, amount)
                if pool.fee_pips:
                    said = self.chain.read(
                        self.world.quoter,
                        "quoteExactInputSingle((address,address,uint256,uint24,uint160))",
                        *(word(token_in), word(token_out), amount, pool.fee_pips, 0),
                    )
                    theirs = integer(said)
                else:
                    path = (0x40, 2, word(token_in), word(token_out))
                    said = self.chain.read(self.world.router2, "getAmountsOut(uint256,address[])", amount, *path)
                    theirs = integer(said, 3)
                self.figures.quotes += 1
                if ours != theirs:
                    self.figures.different.append(f"{pool} gives {theirs} for {amount}, thought {ours}")

    def quote(self, pool: Pool, a_to_b: bool, amount: int) -> int:
        """What the product says that a swap gives."""
        book = self.stage._market.book
        which = book.index[ETHEREUM][pool.address]
        row = book.pools[which]
        if not pool.fee_pips:
            state = PairState(_number(row["reserve_a"]), _number(row["reserve_b"]))
            return uniswap_v2.quote_exact_in(state, a_to_b, amount).amount_out
        ticks = list(book.info[which].ticks)
        return uniswap_v3.quote_exact_in(
            ConcentratedState(
                sqrt_price=_number(row["price"]),
                liquidity=_number(row["liquidity"]),
                tick=int(row["tick"]),
                fee_pips=pool.fee_pips,
                tick_spacing=int(row["tick_spacing"]),
                ticks=tuple(tick for tick, _, _ in ticks),
                liquidity_net=tuple(net for _, net, _ in ticks),
            ),
            a_to_b,
            amount,
        ).amount_out

    def execute(self, row: dict[str, Any]) -> None:
        """Do what an opportunity says by the real routers, leg by leg, and take it back."""
        before = self.chain.ask("evm_snapshot")
        start = self.world.balance(row["mint"])
        for leg in row["legs"]:
            amount_in, told = (int.from_bytes(leg[name], "little") for name in ("amount_in", "amount_out"))
            had = self.world.balance(leg["mint_out"])
            self.world.swap(leg["pool"], leg["mint_in"], leg["mint_out"], amount_in)
            self.chain.mine()
            got = self.world.balance(leg["mint_out"]) - had
            self.figures.legs += 1
            if got != told:
                self.figures.different.append(f"leg {leg['pool'].hex()}: {amount_in} gave {got}, told {told}")
        profit = self.world.balance(row["mint"]) - start
        self.figures.executed += 1
        if profit != int.from_bytes(row["gross_profit"], "little", signed=True):
            self.figures.different.append(f"{row['path']} gained {profit}")
        assert self.chain.ask("evm_revert", before)

    def _known(self, pool: Pool) -> tuple[Any, ...]:
        book = self.stage._market.book
        which = book.index[ETHEREUM][pool.address]
        row = book.pools[which]
        if not pool.fee_pips:
            return _number(row["reserve_a"]), _number(row["reserve_b"])
        ticks = book.info[which].ticks
        return _number(row["price"]), int(row["tick"]), _number(row["liquidity"]), tuple(ticks or ())

    def _said(self, pool: Pool) -> tuple[Any, ...]:
        if not pool.fee_pips:
            said = self.chain.read(pool.address, "getReserves()")
            return number(said), number(said, 1)
        slot0 = self.chain.read(pool.address, "slot0()")
        ticks = []
        for tick, _, _ in self._known(pool)[3]:
            said = self.chain.read(pool.address, "ticks(int24)", tick)
            ticks.append((tick, integer(said, 1), integer(said)))
        return integer(slot0), integer(slot0, 1), self.chain.number(pool.address, "liquidity()"), tuple(ticks)


def _number(words: np.ndarray) -> int:
    return int.from_bytes(words.tobytes(), "little")
