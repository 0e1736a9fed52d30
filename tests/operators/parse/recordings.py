"""The recorded days that the repository ships, read once."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa

from mevflow.operators.parse.uniswap.logs import HEADER
from mevflow.operators.parse.uniswap.pools import POOLS
from mevflow.operators.parse.uniswap.v3 import CsvRow
from mevflow.operators.parse.whirlpool.accounts import Accounts, read_accounts
from mevflow.operators.parse.whirlpool.lines import is_empty
from mevflow.operators.parse.whirlpool.state import StartState, read_start_state

DATA = Path(__file__).parents[3] / "examples" / "data"
WHIRLPOOL = DATA / "whirlpool-transaction-20220406.jsonl.gz"
START = DATA / "whirlpool-start-20220406.json"
UNISWAP = tuple(sorted(DATA.glob("uniswap-v3-*.csv.gz")))


@cache
def whirlpool_lines() -> tuple[bytes, ...]:
    """The lines that hold transactions."""
    with gzip.open(WHIRLPOOL) as file:
        return tuple(line for line in file if not is_empty(line))


@cache
def start_state() -> StartState:
    """Where the day begins."""
    return read_start_state(START.read_bytes())


@cache
def end_accounts() -> Accounts:
    """Where the day ends."""
    return read_accounts(gzip.decompress((DATA / "whirlpool-state-20220406.json.gz").read_bytes()))


@cache
def uniswap_rows(which: int) -> tuple[CsvRow, ...]:
    """The rows of one pool: 0 is 0.05 %, 1 is 0.30 %."""
    with gzip.open(UNISWAP[which], "rt") as file:
        lines = file.read().splitlines()
    assert lines[0] == HEADER
    return tuple(CsvRow(POOLS[which], UNISWAP[which].name, n, line) for n, line in enumerate(lines[1:], 2))


def rows_of(batches: Iterable[pa.RecordBatch], message: str) -> list[dict[str, object]]:
    """All rows of ``mevflow.v1.<message>``."""
    name = f"mevflow.v1.{message}".encode()
    return [row for batch in batches if batch.schema.metadata[b"message"] == name for row in batch.to_pylist()]


def number(raw: object) -> int:
    """A little-endian column's value."""
    assert isinstance(raw, bytes)
    return int.from_bytes(raw, "little")


def signed(raw: object) -> int:
    """A signed little-endian column's value."""
    assert isinstance(raw, bytes)
    return int.from_bytes(raw, "little", signed=True)
