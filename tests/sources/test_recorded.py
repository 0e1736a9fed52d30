"""Recorded files: told apart by their content, merged in chain order, damaged, missing."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from mevflow.operators.errors import UsageError
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.v3 import UniswapDay
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay
from mevflow.sources.recorded import open_recorded

DATA = Path(__file__).parents[2] / "examples" / "data"
WHIRLPOOL = DATA / "whirlpool-transaction-20220406.jsonl.gz"
START = DATA / "whirlpool-start-20220406.json"
UNISWAP = sorted(DATA.glob("uniswap-v3-*.csv.gz"))


def counts(batches: list[pa.RecordBatch]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in batches:
        name = batch.schema.metadata[b"message"].decode().rpartition(".")[2]
        found[name] = found.get(name, 0) + len(batch)
    return found


@pytest.fixture
def short_day(tmp_path: Path) -> Path:
    """The first 30,000 slots of the Whirlpool day, unzipped, with the start state beside them."""
    path = tmp_path / "whirlpool-transaction-20220406.jsonl"
    with gzip.open(WHIRLPOOL) as file:
        path.write_bytes(b"".join(next(file) for _ in range(30_000)))
    shutil.copy(START, tmp_path)
    return path


def test_a_whirlpool_day() -> None:
    recorded = open_recorded(WHIRLPOOL, chunk_rows=500)
    read = [recorded.bytes_read]
    batches = []
    for batch in recorded:
        batches.append(batch)
        read.append(recorded.bytes_read)
    assert counts(batches) == {"PoolUpdate": 483, "Swap": 9466}
    assert (recorded.kind, isinstance(recorded.day, WhirlpoolDay)) == ("whirlpool", True)
    assert read == sorted(read)
    assert 0 <= read[0] < read[2] < recorded.bytes_total == WHIRLPOOL.stat().st_size == recorded.bytes_read


def test_both_uniswap_pools_merge_in_chain_order() -> None:
    recorded = open_recorded(*UNISWAP)
    batches = list(recorded)
    assert isinstance(recorded.day, UniswapDay)
    swaps = pa.Table.from_batches([b for b in batches if b.schema.metadata[b"message"] == b"mevflow.v1.Swap"])
    keys = list(zip(*(swaps[name].to_pylist() for name in ("slot", "tx_index", "ix_index")), strict=True))
    assert len(keys) == 6313
    assert keys == sorted(keys)
    assert len(set(swaps["pool"].to_pylist())) == 2
    assert recorded.bytes_read == recorded.bytes_total


def test_merging_changes_no_pool_s_rows() -> None:
    merged = [row for batch in open_recorded(*UNISWAP) for row in batch.to_pylist()]
    for path in UNISWAP:
        alone = [row for batch in open_recorded(path) for row in batch.to_pylist()]
        pool = alone[0]["pool"]
        of_pool = [row for row in merged if row["pool"] == pool]
        assert sorted(map(str, of_pool)) == sorted(map(str, alone))


def test_plain_text_and_a_given_start_state(short_day: Path, tmp_path: Path) -> None:
    beside = list(open_recorded(short_day))
    elsewhere = tmp_path / "renamed.jsonl"
    short_day.rename(elsewhere)
    given = list(open_recorded(str(elsewhere), start_state=str(START)))
    assert counts(given)["Swap"] > 1_000
    assert all(a.equals(b) for a, b in zip(beside, given, strict=True))


def test_a_bad_line_stops_or_is_taken(short_day: Path) -> None:
    lines = short_day.read_bytes().splitlines(keepends=True)
    lines[3] = b"rubbish\n"
    short_day.write_bytes(b"".join(lines))
    with pytest.raises(ParseError, match=rf"{short_day.name}:4"):
        list(open_recorded(short_day))
    taken: list[ParseError] = []
    batches = list(open_recorded(short_day, on_error=taken.append))
    assert [(error.line, error.reason) for error in taken] == [(4, "malformed")]
    assert counts(batches)["DeadLetter"] == 1
    assert counts(batches)["Swap"] > 1_000


def test_a_bad_row_between_merged_files(tmp_path: Path) -> None:
    paths = []
    for path in UNISWAP:
        text = gzip.decompress(path.read_bytes()).splitlines(keepends=True)[:40]
        copy = tmp_path / path.name.removesuffix(".gz")
        copy.write_bytes(b"".join([*text[:5], b"rubbish\n", *text[5:]]))
        paths.append(copy)
    taken: list[ParseError] = []
    batches = list(open_recorded(*paths, on_error=taken.append))
    assert sorted((Path(error.file).name, error.line) for error in taken) == [(p.name, 6) for p in paths]
    assert counts(batches)["DeadLetter"] == 2
    assert counts(batches)["Swap"] + counts(batches)["PoolUpdate"] > 70


def test_damaged_gzip_is_an_error_with_its_place(tmp_path: Path) -> None:
    cut = tmp_path / WHIRLPOOL.name
    cut.write_bytes(WHIRLPOOL.read_bytes()[:500_000])
    shutil.copy(START, tmp_path)
    with pytest.raises(ParseError, match="cannot be read on") as caught:
        list(open_recorded(cut))
    assert caught.value.reason == "damaged_file"
    assert caught.value.line is not None


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        open_recorded(tmp_path / "missing.csv")
    with pytest.raises(UsageError, match="no file"):
        open_recorded()
    other = tmp_path / "other.txt"
    other.write_text("hello\n")
    with pytest.raises(ParseError, match="neither a Whirlpool day nor Uniswap v3 logs"):
        open_recorded(other)
    alone = tmp_path / WHIRLPOOL.name
    shutil.copy(WHIRLPOOL, alone)
    with pytest.raises(UsageError, match="start state"):
        open_recorded(alone)
    with pytest.raises(UsageError, match="one kind"):
        open_recorded(WHIRLPOOL, UNISWAP[0])
    nameless = tmp_path / "logs.csv.gz"
    shutil.copy(UNISWAP[0], nameless)
    with pytest.raises(ParseError, match="names no known pool"):
        list(open_recorded(nameless))


def test_closing_early_lets_go_of_the_file() -> None:
    recorded = open_recorded(WHIRLPOOL, chunk_rows=100)
    next(recorded)
    recorded.close()
    assert 0 < recorded.bytes_read < recorded.bytes_total
    assert all(file.closed for file in recorded._files)
