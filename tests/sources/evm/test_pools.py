"""``mevflow pools``: what was collected and stored, beside what contracts say."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mevflow.cli.pools import command
from mevflow.flows.config import config
from mevflow.flows.pools.named import write_pool_file
from mevflow.operators.errors import CheckFailedError, UsageError
from mevflow.operators.parse.evm.pool_file import read_pool_file
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sources.evm.factories import Factory
from tests.evm.chain import Chain
from tests.evm.world import World
from tests.sources.evm.test_source import CHAIN, Reader, busy, source

NAME = f"evm-{CHAIN}"


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--json"])


def test_pools_are_listed_shown_and_held_against_their_contracts(
    chain: Chain,
    world: World,
    clickhouse_server: Any,
    clickhouse_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(source(world))
    reader.until(busy(world, random.Random(12), 8))
    reader.source.close()
    sink = ClickHouseSink(
        ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database),
        StageContext("archive", "history"),
    )
    sink.open(None)
    for port in ("updates", "swaps"):
        for batch in reader.rows[port]:
            sink.write(batch)
    sink.snapshot()
    sink.close()
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(clickhouse_server.port))
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__DATABASE", clickhouse_database)
    config.cache_clear()
    try:
        listed = [json.loads(line) for line in ran("list", "--chain", NAME).stdout.splitlines()]
        swapped = {row["pool"] for row in reader.table("swaps").to_pylist()}
        assert {row["pool"] for row in listed} == {"0x" + pool.hex() for pool in swapped}
        assert sum(row["swaps"] for row in listed) == reader.table("swaps").num_rows

        deep = next(pool for pool in world.concentrated if pool.address in swapped)
        shown = json.loads(ran("show", "0x" + deep.address.hex()).stdout)
        assert (shown["liquidity"], shown["fee_pips"]) == (chain.number(deep.address, "liquidity()"), deep.fee_pips)

        held = ran("audit", "--rpc", chain.url, "--chain", NAME)
        rows = [json.loads(line) for line in held.stdout.splitlines()]
        assert held.exit_code == 0, held.output
        assert len(rows) == len(listed)
        assert all(row["equal"] for row in rows)

        _told_otherwise(clickhouse_server.port, clickhouse_database, "0x" + deep.address.hex())
        wrong = ran("audit", "--rpc", chain.url, "--chain", NAME, "0x" + deep.address.hex())
        assert isinstance(wrong.exception, CheckFailedError)
        assert json.loads(wrong.stdout)["equal"] is False
        for arguments in (("audit", "--rpc", chain.url, "0x" + "11" * 20), ("show", "0x11"), ("list", "--chain", "no")):
            assert isinstance(ran(*arguments).exception, UsageError)
    finally:
        config.cache_clear()


def _told_otherwise(port: int, database: str, pool: str) -> None:
    """Some liquidity too much in the rows that are stored."""
    from mevflow.clickhouse.client import connect

    client = connect("127.0.0.1", port, database=database)
    client.command(
        "INSERT INTO dex_pools (timestamp, chain, slot, tx_index, ix_index, venue, pool, kind, tick_lower, tick_upper,"
        " liquidity_delta) SELECT now64(6), chain, (SELECT max(slot) - 1 FROM raw_swaps), 16000000, 1, venue, pool,"
        f" 'liquidity', -800000, 800000, 5 FROM dex_pools WHERE pool = '{pool}' LIMIT 1"
    )
    client.close()


def test_pools_are_named_by_address_and_node(chain: Chain, world: World, tmp_path: Path) -> None:
    """The node says what they are; the file that is written reads as one written by hand."""
    factories = (
        Factory(address="0x" + world.v2.hex(), kind="pairs", fee_pips=3000),
        Factory(address="0x" + world.v3.hex(), kind="concentrated"),
    )
    pools = [world.pairs[0], world.concentrated[0]]
    named = [f"0x{pool.address.hex()}@{chain.url}" for pool in pools]
    path = write_pool_file(named, tmp_path, factories)
    assert write_pool_file(named[::-1], tmp_path, factories) == path
    known = read_pool_file(path)
    assert known.chain == CHAIN
    for pool in pools:
        found = known.table.of(pool.address)
        assert (found.token0, found.token1) == (pool.token0, pool.token1)
        assert found.fee_pips == (pool.fee_pips or 3000)
    for wrong in (named[0].upper()[:20], "0x" + "zz" * 20 + "@http://h", f"0x{'11' * 20}@{chain.url}", named[0][:42]):
        with pytest.raises(UsageError):
            write_pool_file([wrong], tmp_path, factories)
