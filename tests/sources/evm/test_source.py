"""``evm.source`` on a real node: what the detector knows of every pool is what the chain says, after every block."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.bounds import bounds_of
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.evm.pools import EvmPool
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.evm import collect, stated
from mevflow.sources.evm.audit import ToldState, said
from mevflow.sources.evm.collect import PoolCollector
from mevflow.sources.evm.contracts import integer
from mevflow.sources.evm.follow import Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings, RpcNode
from mevflow.sources.evm.source import EvmSettings, EvmSource
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain
from tests.evm.proxy import LyingProxy
from tests.evm.world import World

REGISTRY = str(Path(__file__).parents[3] / "examples/pools.yaml")
#: Anvil's own chain id: a chain that nobody has named.
CHAIN = 31337


def source(world: World, *urls: str, state: bytes | None = None, start: int | str = 0, **changes: object) -> EvmSource:
    settings = EvmSettings(
        chain=f"evm-{CHAIN}",
        endpoints=tuple({"url": url, "max_rps": 1e6, "timeout_s": 5} for url in urls or (world.chain.url,)),
        start=start,
        poll_ms=10,
        pools={
            "factories": [
                {"address": "0x" + world.v2.hex(), "kind": "pairs", "fee_pips": 3000},
                {"address": "0x" + world.v3.hex(), "kind": "concentrated"},
            ]
        },
        **changes,
    )
    made = EvmSource(settings, StageContext("test", "collect"))
    made.open(state)
    return made


class Reader:
    """Reads a source up to a block, feeding a detector; keeps every row."""

    def __init__(self, reading: EvmSource) -> None:
        self.source = reading
        self.stage = ArbitrageDetect(DetectSettings(registry=REGISTRY), StageContext("test", "found"))
        self.rows: dict[str, list[pa.RecordBatch]] = {"swaps": [], "updates": [], "errors": []}

    def until(self, block: int) -> None:
        """Read until the source stands behind ``block`` and has given everything."""
        ends = time.monotonic() + 120
        while True:
            given = self.source.poll()
            for port, batch in given.batches:
                self.rows[port].append(batch)
                if port != "errors":
                    list(self.stage.process(port, batch))
            if given.watermark is not None:
                for port in ("updates", "swaps"):
                    list(self.stage.on_watermark(port, Watermark(CAUGHT_UP_US)))
            if self.source.block is not None and self.source.block > block:
                return
            assert time.monotonic() < ends, self.source.trouble

    def table(self, port: str) -> pa.Table:
        return pa.Table.from_batches(self.rows[port]) if self.rows[port] else pa.table({})

    def assert_equals(self, chain: Chain, world: World) -> None:
        """Every pool's row and ticks against its contract."""
        book = self.stage._market.book
        for pool in world.pairs:
            row = book.pools[book.index[CHAIN][pool.address]]
            said = chain.read(pool.address, "getReserves()")
            assert (number(row["reserve_a"]), number(row["reserve_b"])) == (integer(said), integer(said, 1))
        for pool in world.concentrated:
            which = book.index[CHAIN][pool.address]
            row = book.pools[which]
            slot0 = chain.read(pool.address, "slot0()")
            assert (number(row["price"]), int(row["tick"])) == (integer(slot0), integer(slot0, 1))
            assert number(row["liquidity"]) == chain.number(pool.address, "liquidity()")
            ticks = book.info[which].ticks
            assert ticks is not None
            for tick, net, gross in ticks:
                said = chain.read(pool.address, "ticks(int24)", tick)
                assert (net, gross) == (integer(said, 1), integer(said))


def number(words: np.ndarray) -> int:
    return int.from_bytes(words.tobytes(), "little")


def busy(world: World, chance: random.Random, blocks: int) -> int:
    for _ in range(blocks):
        for _ in range(chance.randrange(1, 5)):
            world.act(chance)
        head = world.chain.mine()
    return head


def test_pools_are_the_chains_after_every_block(chain: Chain, world: World) -> None:
    chance = random.Random(1)
    head = busy(world, chance, 5)
    reader = Reader(source(world))
    reader.until(head)
    reader.assert_equals(chain, world)
    for _ in range(20):
        head = busy(world, chance, 1)
        reader.until(head)
        reader.assert_equals(chain, world)
    reader.source.close()
    assert not reader.rows["errors"]


def test_a_start_in_the_middle_states_every_pool_first(chain: Chain, world: World) -> None:
    chance = random.Random(2)
    busy(world, chance, 10)
    reader = Reader(source(world, start="latest"))
    while reader.source.block is None:
        chain.mine()
        reader.source.poll()
    reader.until(busy(world, chance, 12))
    updates = reader.table("updates").to_pylist()
    swaps = reader.table("swaps").to_pylist()
    snapshots = [row for row in updates if row["kind"] == market.PoolUpdate.KIND_SNAPSHOT]
    stated = {row["pool"]: row["slot"] for row in snapshots if row["ticks"]}
    assert set(stated) == {pool.address for pool in world.concentrated}
    first = {}
    for row in swaps:
        first.setdefault(row["pool"], row["slot"])
    assert all(stated[pool] < slot for pool, slot in first.items() if pool in stated)
    reader.assert_equals(chain, world)
    reader.source.close()


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_a_fork_takes_back_what_it_undid(chain: Chain, world: World, depth: int) -> None:
    chance = random.Random(depth)
    reader = Reader(source(world))
    reader.until(busy(world, chance, 12))
    chain.ask("anvil_reorg", depth, [])
    chain.mine(2)
    head = busy(world, chance, 5)
    reader.until(head)
    kinds = reader.table("updates")["kind"].to_pylist()
    assert kinds.count(market.PoolUpdate.KIND_REORG) == 2  # the beginning says so too
    forks = {kind: reader.table(kind)["fork"].to_pylist() for kind in ("swaps", "updates")}
    begun = forks["updates"][0]
    assert forks == {kind: sorted(found) for kind, found in forks.items()}
    assert set(forks["swaps"]) == set(forks["updates"]) == {begun, begun + 1}
    reader.assert_equals(chain, world)
    reader.source.close()


def test_a_revert_that_only_parents_tell_of(chain: Chain, world: World) -> None:
    chance = random.Random(7)
    reader = Reader(source(world))
    before = chain.ask("evm_snapshot")
    reader.until(busy(world, chance, 6))
    chain.ask("evm_revert", before)
    head = busy(world, chance, 9)
    reader.until(head)
    assert reader.table("updates")["kind"].to_pylist()[1:].count(market.PoolUpdate.KIND_REORG)
    reader.assert_equals(chain, world)
    reader.source.close()


def test_a_lying_node_loses_and_doubles_nothing(chain: Chain, world: World) -> None:
    chance = random.Random(4)
    liar = LyingProxy(chain.url, rate=0.25, seed=4)
    reader, honest = Reader(source(world, liar.url, liar.url)), Reader(source(world))
    for _ in range(6):
        head = busy(world, chance, 4)
        reader.until(head)
        honest.until(head)
        reader.assert_equals(chain, world)
    liar.close()
    assert all(liar.told.values()), liar.told
    for port in ("swaps", "updates"):
        said, right = (one.table(port).drop_columns("fork").combine_chunks() for one in (reader, honest))
        key = [(name, "ascending") for name in ("slot", "tx_index", "ix_index", "pool")]
        assert said.sort_by(key).to_pylist() == right.sort_by(key).to_pylist()
    reader.source.close()
    honest.source.close()


def test_an_audit_finds_what_no_log_told_and_states_it_anew(chain: Chain, world: World) -> None:
    """Storage that changes without a log stands for a log that a node kept back."""
    reader = Reader(source(world, audit={"blocks": 1, "pools": 2}))
    reader.until(busy(world, random.Random(11), 6))
    assert not reader.rows["errors"], "nothing differs while every log is told"
    pair, deep = world.pairs[0], world.concentrated[0]
    for pool, slot, more in ((pair, 8, 5 << 112), (deep, 4, 7)):  # reserve1; liquidity
        held = int(chain.ask("eth_getStorageAt", "0x" + pool.address.hex(), hex(slot), "latest"), 16)
        value = "0x" + (held + more).to_bytes(32, "big").hex()
        chain.ask("anvil_setStorageAt", "0x" + pool.address.hex(), hex(slot), value)
    # Whose turn it is: every pool within as many blocks as there are pools.
    reader.until(chain.mine(2 * len(world.pairs + world.concentrated)))
    letters = reader.table("errors").to_pylist()
    assert {row["reason"] for row in letters} == {"audit_difference"}
    assert {row["payload"] for row in letters} == {pair.address, deep.address}
    assert len(letters) == 2, "once each: the pool is stated anew"
    stated = [row for row in reader.table("updates").to_pylist() if row["kind"] == market.PoolUpdate.KIND_SNAPSHOT]
    assert {row["pool"] for row in stated[-2:]} == {pair.address, deep.address}
    reader.assert_equals(chain, world)
    reader.source.close()


def test_one_answer_of_another_block_is_no_difference(
    chain: Chain, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that takes a block while it answers: seen in one of ten runs, and here in every first reading."""
    readings = itertools.count()

    def hasty(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[ToldState | None]:
        answers = said(node, pools, block)
        return answers if next(readings) % 2 else [one and (one[0] + 1, *one[1:]) for one in answers]

    monkeypatch.setattr(collect, "said", hasty)
    reader = Reader(source(world, audit={"blocks": 1, "pools": 2}))
    head = busy(world, random.Random(12), 6)
    reader.until(head)
    reader.until(chain.mine(2))
    assert next(readings) > 4
    assert not reader.rows["errors"]
    assert reader.table("updates")["tx_index"].to_pylist().count(stated.AFTER_ALL) == 0
    reader.assert_equals(chain, world)
    reader.source.close()


def test_rows_carry_the_chain_and_are_within_the_bounds_of_messages(chain: Chain, world: World) -> None:
    """A snapshot's place behind all of its block was once beyond what a decode lets through."""
    head = busy(world, random.Random(8), 2)
    start = int(chain.ask("eth_blockNumber"), 16)
    head = busy(world, random.Random(9), 3)
    reader = Reader(source(world, start=start + 1))
    reader.until(head)
    reader.source.close()
    for port in ("swaps", "updates"):
        for batch in reader.rows[port]:
            assert set(batch["chain"].to_pylist()) == {CHAIN}
            assert [bound.fault(batch) for bound in bounds_of(batch.schema)] == [None] * len(bounds_of(batch.schema))


def test_a_node_of_another_chain_is_refused(chain: Chain) -> None:
    nodes = Nodes([EndpointSettings(url=chain.url)], chain_id=8453)
    with pytest.raises(UsageError, match="id 31337, not 8453"):
        nodes.ask(lambda node: node.call("eth_blockNumber"))
    nodes.close()


def test_a_node_of_another_chain_beside_one_of_the_right_is_passed_over(chain: Chain) -> None:
    other = Chain(chain_id=8453)
    nodes = Nodes([EndpointSettings(url=chain.url), EndpointSettings(url=other.url)], chain_id=8453)
    assert nodes.ask(lambda node: node.name) == nodes.nodes[1].name
    nodes.close()
    other.close()


def test_whatever_ends_the_thread_ends_the_source(chain: Chain, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source whose thread is gone would look like a chain without blocks."""

    def broken(self: PoolCollector, fork: Fork) -> None:
        raise OverflowError("int too big to convert")

    monkeypatch.setattr(PoolCollector, "fork", broken)
    reading = source(world)
    with pytest.raises(OverflowError, match="too big"):
        Reader(reading).until(0)
    reading.close()


def test_a_restart_gives_the_rest_once(chain: Chain, world: World) -> None:
    chance = random.Random(5)
    whole, first = Reader(source(world)), Reader(source(world))
    head = busy(world, chance, 8)
    first.until(head)
    state = first.source.snapshot()
    first.source.close()
    head = busy(world, chance, 8)
    second = Reader(source(world, state=state))
    second.until(head)
    whole.until(head)
    for port in ("swaps", "updates"):
        parts = [*first.table(port).to_pylist(), *second.table(port).to_pylist()]
        assert len({row["fork"] for row in parts}) == 1
        assert parts == [{**row, "fork": parts[0]["fork"]} for row in whole.table(port).to_pylist()]
    second.source.close()
    whole.source.close()
