"""Recorded EVM logs from every form of file: the same rows as from the node's own answer."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest

from mevflow.operators.errors import MevflowError, UsageError
from mevflow.operators.parse.evm.pool_file import KnownPools, read_pool_file
from mevflow.sources.evm.files import LogFiles, is_logs
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain
from tests.evm.world import World

CHAIN_ID = 31337


@pytest.fixture
def logs(chain: Chain, world: World) -> list[dict[str, object]]:
    """What a node gives of some busy blocks, with their times."""
    chance = random.Random(3)
    for _ in range(8):
        for _ in range(3):
            world.act(chance)
        chain.mine()
    found = chain.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    assert all("blockTimestamp" in one for one in found)
    return list(found)


@pytest.fixture
def pools(world: World, tmp_path: Path) -> KnownPools:
    entries = [
        {
            "address": "0x" + pool.address.hex(),
            "kind": "concentrated" if pool.fee_pips else "pairs",
            "token0": "0x" + pool.token0.hex(),
            "token1": "0x" + pool.token1.hex(),
            "fee_pips": pool.fee_pips or 3000,
            "tick_spacing": {500: 10, 3000: 60}.get(pool.fee_pips, 0),
        }
        for pool in (*world.pairs, *world.concentrated)
    ]
    path = tmp_path / "pools.yaml"
    path.write_text(json.dumps({"chain": f"evm-{CHAIN_ID}", "pools": entries}))
    lines = [",".join((*entries[0], "chain"))]
    lines += [",".join(map(str, (*one.values(), f"evm-{CHAIN_ID}"))) for one in entries]
    (tmp_path / "pools.csv").write_text("\n".join(lines))
    found, same = read_pool_file(path), read_pool_file(tmp_path / "pools.csv")
    assert found.table.pools == same.table.pools
    assert found.chain == same.chain == CHAIN_ID
    return found


def rows(stream: LogFiles) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for batch in stream:
        found.setdefault(batch.schema.metadata[b"message"].decode(), []).extend(batch.to_pylist())
    return found


def cryo(logs: list[dict[str, object]], as_hex: bool, timed: bool) -> pa.Table:
    def raw(text: object) -> object:
        return text if as_hex or text is None else bytes.fromhex(str(text)[2:])

    columns = {
        "block_number": [int(str(one["blockNumber"]), 16) for one in logs],
        "transaction_index": [int(str(one["transactionIndex"]), 16) for one in logs],
        "log_index": [int(str(one["logIndex"]), 16) for one in logs],
        "transaction_hash": [raw(one["transactionHash"]) for one in logs],
        "address": [raw(one["address"]) for one in logs],
        **{f"topic{i}": [raw((one["topics"] + [None] * 4)[i]) for one in logs] for i in range(4)},  # type: ignore[operator]
        "data": [raw(one["data"]) for one in logs],
        "chain_id": [CHAIN_ID] * len(logs),
    }
    if timed:
        columns["timestamp"] = [int(str(one["blockTimestamp"]), 16) for one in logs]
    return pa.table(columns)


def test_every_form_gives_the_same_rows(logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path) -> None:
    text = json.dumps(logs)
    (tmp_path / "array.json").write_text(text)
    (tmp_path / "array.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "pretty.json").write_text(json.dumps(logs, indent=2))
    (tmp_path / "lines.ndjson").write_text("\n".join(map(json.dumps, logs)))
    half = len(logs) // 2
    answers = [{"jsonrpc": "2.0", "id": i, "result": part} for i, part in enumerate((logs[:half], logs[half:]))]
    (tmp_path / "responses.jsonl").write_text("\n".join(map(json.dumps, answers)))
    (tmp_path / "batch.json").write_text(json.dumps(answers))
    pq.write_table(cryo(logs, False, True), tmp_path / "binary.parquet")
    pq.write_table(cryo(logs, True, True), tmp_path / "hex.parquet")
    pc_csv.write_csv(cryo(logs, True, True), tmp_path / "cryo.csv")
    whole = rows(LogFiles([tmp_path / "array.json"], pools))
    assert len(whole["mevflow.v1.Swap"]) > 5
    assert whole["mevflow.v1.PoolUpdate"]
    assert "mevflow.v1.DeadLetter" not in whole
    for path in sorted(tmp_path.iterdir()):
        if not path.name.startswith("pools"):
            assert is_logs(path), path.name
            assert rows(LogFiles([path], pools)) == whole, path.name


@pytest.mark.parametrize("spelled", [(True, False), ("true", "false"), (1, 0)])
def test_tables_tell_what_the_chain_took_back_and_digits_may_be_large(
    logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path, spelled: tuple[object, object]
) -> None:
    half = len(logs) // 2
    flags = [spelled[0]] * half + [spelled[1]] * (len(logs) - half)
    whole = cryo(logs, True, True)
    for name in ("address", "topic0", "topic1", "topic2", "topic3", "data"):
        at = whole.schema.get_field_index(name)
        whole = whole.set_column(at, name, pa.compute.utf8_upper(whole.column(name).cast(pa.string())))
    pq.write_table(whole.append_column("removed", pa.array(flags)), tmp_path / "flagged.parquet")
    pc_csv.write_csv(whole.append_column("removed", pa.array(flags)), tmp_path / "flagged.csv")
    pq.write_table(cryo(logs[half:], False, True), tmp_path / "rest.parquet")
    kept = rows(LogFiles([tmp_path / "rest.parquet"], pools))
    for name in ("flagged.parquet", "flagged.csv"):
        found = rows(LogFiles([tmp_path / name], pools))
        assert {row["reason"] for row in found.pop("mevflow.v1.DeadLetter")} == {"removed"}
        assert found == kept


def test_a_swap_whose_events_lie_in_two_stretches_is_one(
    logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines.ndjson").write_text("\n".join(map(json.dumps, logs)))
    pq.write_table(cryo(logs, False, True), tmp_path / "logs.parquet")
    whole = rows(LogFiles([tmp_path / "lines.ndjson"], pools))
    monkeypatch.setattr("mevflow.operators.parse.evm.json_file._BLOCK", 3_000)
    monkeypatch.setattr("mevflow.sources.evm.files.ROWS", 2)
    for name in ("lines.ndjson", "logs.parquet"):
        assert rows(LogFiles([tmp_path / name], pools)) == whole


def test_times_come_from_a_file_of_blocks(logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path) -> None:
    pq.write_table(cryo(logs, False, True), tmp_path / "timed.parquet")
    pq.write_table(cryo(logs, False, False), tmp_path / "logs.parquet")
    times = {int(str(one["blockNumber"]), 16): int(str(one["blockTimestamp"]), 16) for one in logs}
    blocks = pa.table({"block_number": list(times), "timestamp": list(times.values())})
    pq.write_table(blocks, tmp_path / "blocks.parquet")
    said = rows(LogFiles([tmp_path / "logs.parquet", tmp_path / "blocks.parquet"], pools))
    assert said == rows(LogFiles([tmp_path / "timed.parquet"], pools))
    with pytest.raises(MevflowError, match="no time of block"):
        rows(LogFiles([tmp_path / "logs.parquet"], pools))


def test_files_come_in_the_order_of_their_blocks(
    logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path
) -> None:
    blocks = sorted({str(one["blockNumber"]) for one in logs}, key=lambda text: int(text, 16))
    early = set(blocks[: len(blocks) // 2])
    (tmp_path / "a.json").write_text(json.dumps([one for one in logs if one["blockNumber"] not in early]))
    (tmp_path / "b.json").write_text(json.dumps([one for one in logs if one["blockNumber"] in early]))
    (tmp_path / "all.json").write_text(json.dumps(logs))
    said = rows(LogFiles([tmp_path / "a.json", tmp_path / "b.json"], pools))
    assert said == rows(LogFiles([tmp_path / "all.json"], pools))


def test_what_is_no_log_is_a_dead_letter(logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path) -> None:
    whole = len(rows_of_swaps(logs, pools, tmp_path))
    wrong = [{"code": -32000, "message": "no"}, {**logs[0], "address": "0x12"}, {**logs[0], "data": 7}]
    mixed = [logs[0], *wrong, *logs[1:]]
    (tmp_path / "mixed.json").write_bytes(msgspec.json.encode(mixed))
    found = rows(LogFiles([tmp_path / "mixed.json"], pools))
    assert len(found["mevflow.v1.Swap"]) == whole
    assert [row["reason"] for row in found["mevflow.v1.DeadLetter"]] == ["malformed"] * 3
    # Nobody knows of the first whose it is: every pool may have changed behind the log before.
    doubted = [row for row in found["mevflow.v1.PoolUpdate"] if row["kind"] != market.PoolUpdate.KIND_SNAPSHOT]
    place = int(str(logs[0]["blockNumber"]), 16), int(str(logs[0]["logIndex"]), 16) + 1
    assert {row["pool"] for row in doubted if (row["slot"], row["ix_index"]) == place} == {
        pool.address for pool in pools.table.pools
    }


def test_a_file_of_other_objects_is_refused(pools: KnownPools, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('[{"topics": 1}' + ', {"a": 1}' * 1_001 + "]")
    with pytest.raises(MevflowError, match="are no logs"):
        rows(LogFiles([tmp_path / "other.json"], pools))


def rows_of_swaps(logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path) -> list[dict[str, object]]:
    (tmp_path / "good.json").write_text(json.dumps(logs))
    return rows(LogFiles([tmp_path / "good.json"], pools))["mevflow.v1.Swap"]


def test_logs_of_another_chain_are_refused(logs: list[dict[str, object]], pools: KnownPools, tmp_path: Path) -> None:
    table = cryo(logs, False, True)
    at = table.schema.get_field_index("chain_id")
    pq.write_table(table.set_column(at, "chain_id", [pa.array([1] * len(logs))]), tmp_path / "other.parquet")
    with pytest.raises(UsageError, match="chain id 1"):
        LogFiles([tmp_path / "other.parquet"], pools)


@pytest.mark.parametrize(
    "text",
    [
        "pools: []",
        "pools: [{address: '0x12', kind: pairs}]",
        "chain: solana\npools: [{address: '0x" + "11" * 20 + "', kind: pairs}]",
        "pools: [{address: '0x" + "11" * 20 + "', kind: pairs, token0: '0x" + "33" * 20 + "', token1: '0x" + "22" * 20
        + "', fee_pips: 3000}]",
    ],
)  # fmt: skip
def test_a_wrong_pool_file_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pools.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="pools"):
        read_pool_file(path)
