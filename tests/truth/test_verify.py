"""``mevflow verify``: what was found is executed by the pools, right after its event, whatever its block did later."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from Crypto.Hash import keccak

from mevflow.cli.verify import command
from mevflow.flows.config import config
from mevflow.operators.detect.report.rows import OPPORTUNITY
from mevflow.operators.errors import CheckFailedError, UsageError
from mevflow.operators.parse.evm.pools import KINDS
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sources.evm.execution import CALLS, CycleLeg, PoolCall, execute
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.rpc import CallError, RpcNode
from tests.evm.chain import Chain, word
from tests.evm.exchange import CODE
from tests.evm.holders import MANAGER, VAULT
from tests.evm.world import World
from tests.truth.execution import Watched


def amount(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def legs_of(row: dict[str, Any]) -> list[CycleLeg]:
    return [
        CycleLeg(
            leg["pool"],
            leg["mint_in"],
            leg["mint_out"],
            CALLS[leg["venue"]],
            amount(leg["amount_in"]),
            amount(leg["amount_out"]),
        )
        for leg in row["legs"]
    ]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A detector beside a chain with Ethereum's id."""
    chain = Chain(chain_id=1)
    yield Watched(World(chain), tmp_path_factory.mktemp("watched"), max_hops=3)
    chain.close()


def found(watched: Watched, blocks: int, seed: int) -> list[dict[str, Any]]:
    """Rows that pay, of blocks with several transactions."""
    chance, rows = random.Random(seed), []
    watched.read()
    for _ in range(blocks):
        for _ in range(4):
            watched.world.act(chance)
        watched.chain.mine()
        rows += [row for row in watched.read() if not row["closed"]]
    return rows


def test_what_is_found_is_executed_after_its_event(watched: Watched) -> None:
    """The node runs the block's transactions before the event first, and none after it."""
    rows = found(watched, blocks=4, seed=3)
    assert len({row["tx_index"] for row in rows}) > 1
    for row in rows:
        done = execute(watched.chain.node, legs_of(row), row["slot"], row["tx_index"])
        assert list(done.amounts_out) == [leg.amount_out for leg in legs_of(row)]
        assert done.where == f"after transaction {row['tx_index']}"


def test_a_node_without_simulation_is_asked_at_the_end_of_the_block(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = found(watched, blocks=2, seed=4)
    last = max((row["slot"], row["tx_index"]) for row in rows)
    (row, *_) = [row for row in rows if (row["slot"], row["tx_index"]) == last]
    real = RpcNode.call

    def call(self: RpcNode, method: str, *params: Any) -> Any:
        if method == "eth_simulateV1":
            raise CallError("eth_simulateV1: no such method (-32601)")
        return real(self, method, *params)

    monkeypatch.setattr(RpcNode, "call", call)
    done = execute(watched.chain.node, legs_of(row), watched.chain.head(), row["tx_index"])
    assert done.where == "at the end of the block"
    assert len(done.amounts_out) == len(row["legs"])
    odd = [replace(leg, call=PoolCall(1 - leg.call)) for leg in legs_of(row)]
    with pytest.raises(CheckFailedError, match="reverts"):
        execute(watched.chain.node, odd, watched.chain.head(), 0)


def test_a_leg_through_numbered_coins_is_executed_between_others(watched: Watched) -> None:
    """The pool finds its coins by their numbers and takes what it is allowed; what it gives goes on to the next."""
    chain, world = watched.chain, watched.world
    pool = chain.deploy(CODE, *map(word, world.tokens[:3]))
    for token in world.tokens[:3]:
        chain.do(token, "transfer(address,uint256)", word(pool), 10**21)
    chain.mine()
    first, second, third = world.tokens[:3]
    path = [(third, first), (first, second), (second, third)]
    legs = [CycleLeg(pool, *way, PoolCall.CURVE, 10**18, 0) for way in path]
    done = execute(chain.node, legs, chain.head(), 2)
    assert done.amounts_out == (997 * 10**15, 994_009 * 10**12, 991_026_973 * 10**9)
    stranger = replace(legs[0], token_out=b"\x07" * 20)
    with pytest.raises(CheckFailedError, match="reverts"):
        execute(chain.node, [stranger], chain.head(), 2)


def test_legs_through_a_manager_and_a_vault_are_executed_between_others(watched: Watched) -> None:
    """The manager calls back and is paid, in the chain's own currency, too; the vault takes what it is allowed.

    The position manager tells the key that the pool's id is the hash of.
    """
    chain, (first, second, third) = watched.chain, watched.world.tokens
    native, vault = bytes(20), chain.deploy(VAULT)
    keys = [(word(one), word(other), 500, 10, 0) for one, other in ((native, second), (first, second))]
    held = [chain.deploy(MANAGER, *key[:4]) for key in keys]
    for holder in (*held, vault):
        for token in (first, second, third):
            chain.do(token, "transfer(address,uint256)", word(holder), 10**21)
        chain.ask("anvil_setBalance", "0x" + holder.hex(), hex(10**20))
    chain.mine(2)
    managers = [Factory(address="0x" + one.hex(), kind="v4", positions="0x" + one.hex()) for one in held]
    ids = [keccak.new(digest_bits=256, data=b"".join(one.to_bytes(32) for one in key)).digest() for key in keys]
    weighted = vault + bytes(12)
    given = [10**18, 997 * 10**15, 994_009 * 10**12, 991_026_973 * 10**9]
    paths = (
        [(weighted, third, first), (ids[1], first, second), (weighted, second, third)],
        [(ids[0], native, second), (weighted, second, first), (ids[1], first, second)],
        [(ids[1], second, first), (weighted, first, second), (ids[0], second, native)],
    )
    for path in paths:
        calls = [PoolCall.VAULT if pool == weighted else PoolCall.MANAGER for pool, _, _ in path]
        legs = [CycleLeg(*way, call, 10**18, 0) for way, call in zip(path, calls, strict=True)]
        assert [*execute(chain.node, legs, chain.head(), 2, managers).amounts_out] == given[1:]
    unknown = replace(legs[0], pool=b"\x07" * 32)
    with pytest.raises(CheckFailedError, match="tells the key"):
        execute(chain.node, [unknown], chain.head(), 2, managers)
    with pytest.raises(CheckFailedError, match="its vault"):
        execute(chain.node, [replace(unknown, call=PoolCall.VAULT)], chain.head(), 2)


def test_every_venue_that_is_collected_is_executed() -> None:
    assert {*KINDS.values()} <= {*CALLS}


def test_the_command_prints_predicted_and_executed(
    watched: Watched, clickhouse_server: Any, clickhouse_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = found(watched, blocks=3, seed=5)[-1]
    settings = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database)
    sink = ClickHouseSink(settings, StageContext("detect-live", "history"))
    sink.open(None)
    sink.write(pa.RecordBatch.from_pylist([row], schema=OPPORTUNITY))
    sink.snapshot()
    sink.close()
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(clickhouse_server.port))
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__DATABASE", clickhouse_database)
    config.cache_clear()
    said = CliRunner().invoke(command, [row["opportunity_id"].hex(), "--rpc", watched.chain.url, "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told["executed_profit"] == told["predicted_profit"] == amount(row["gross_profit"])
    assert (told["equal"], told["block"]) == (True, row["slot"])
    missing = CliRunner().invoke(command, ["00" * 16, "--rpc", watched.chain.url])
    config.cache_clear()
    assert isinstance(missing.exception, UsageError)
