"""The results of a replay as hashes that outlive libraries and machines: to hold every change of the logic against.

A hash is of the rows' content, not of the file: column by name, in chain order, without what names the run or the place
in Kafka. Floats count by their first nine digits, for mathematical libraries differ in the last ones; amounts and ids
are integers and bytes, and count whole.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from mevflow.operators.codec import COORDINATES

#: Kafka's offsets depend on how a feed was cut into transactions.
_LEFT_OUT = {*COORDINATES.names, "offset", "run_id"}
_DIGITS = 9
_ROWS = 5_000


class Golden(msgspec.Struct, frozen=True):
    """One message's results."""

    rows: int
    sha256: str


def golden(results: Path) -> dict[str, Golden]:
    """The hash of every result file in a folder, by message."""
    return {path.stem: _hash(path) for path in sorted(results.glob("*.parquet"))}


def load(path: Path) -> dict[str, Golden]:
    """Hashes that were kept."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Golden])


def save(path: Path, found: dict[str, Golden]) -> None:
    """Keep hashes, for the next change to be held against."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def _hash(path: Path) -> Golden:
    file = pq.ParquetFile(path)
    columns = sorted(set(file.schema_arrow.names) - _LEFT_OUT)
    digest = hashlib.sha256(msgspec.json.encode(columns))
    rows = 0
    for batch in file.iter_batches(_ROWS, columns=columns):
        for row in batch.to_pylist():
            digest.update(msgspec.json.encode([_plain(row[name]) for name in columns]) + b"\n")
        rows += batch.num_rows
    return Golden(rows, digest.hexdigest())


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
