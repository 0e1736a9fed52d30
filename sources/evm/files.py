"""Recorded EVM logs of named pools as batches: JSON of ``eth_getLogs``, Parquet or CSV as cryo writes them.

Files follow one another in the order of their first block. A log's time is its own (``blockTimestamp``), or that of a
file of blocks beside it (cryo ``blocks``: ``block_number`` or ``number``, and ``timestamp``); no time is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mevflow.operators.chains import id_of, name_of
from mevflow.operators.codec import ERRORS
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.evm.events import LENDING_EVENTS, which
from mevflow.operators.parse.evm.json_file import stretches
from mevflow.operators.parse.evm.logs import BadLog, Logs, last_of, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pool_file import KnownPools
from mevflow.operators.parse.evm.tables import NEEDED, logs_of
from mevflow.sources.evm.stated import offset_of
from mevflow.sources.files import FileBatches, opened

ROWS = 50_000
#: Objects that are no logs at all: in more of them than this a file is something else.
_MOST_STRANGE = 1_000
_BLOCKS = ("block_number", "number")


class LogFiles(FileBatches):
    """Batches of ``PoolUpdate``, ``Swap`` and ``DeadLetter``, in the files' order. Logs of other pools are counted."""

    kind = "evm_logs"

    def __init__(self, paths: Sequence[Path], pools: KnownPools) -> None:
        """Raises UsageError for a file that holds neither logs nor blocks."""
        super().__init__(paths)
        self.pools = pools
        self.logs = self.unknown = 0
        self._times: dict[int, int] = {}
        files = []
        for path in paths:
            check_chain(path, pools)
            if (times := _block_times(path)) is not None:
                self._times |= times
                self._done += path.stat().st_size
            else:
                files.append(path)
        self._batches = self._read(sorted(files, key=_first_block))

    def _read(self, files: Iterable[Path]) -> Iterator[pa.RecordBatch]:
        for path in files:
            seen, held = 0, None
            for found, wrong in _stretches(path):
                logs = found if held is None else held.and_then(found)
                # A block is parsed as a whole: the events of one swap stand side by side.
                inner = np.flatnonzero(logs.block != logs.block[-1]) if len(logs) else np.zeros(0, np.intp)
                cut = int(inner[-1]) + 1 if len(inner) else 0
                yield from self._rows(path, seen, logs.take(np.arange(cut)), wrong)
                held = logs.since(cut)
                seen += max([*found.position[-1:].tolist(), *(one.position for one in wrong)], default=-1) + 1
            if held is not None:
                yield from self._rows(path, seen, held, [])
            self._done += path.stat().st_size

    def _rows(self, path: Path, seen: int, logs: Logs, wrong: list[BadLog]) -> Iterator[pa.RecordBatch]:
        order = np.lexsort([logs.log_index, logs.block])
        if (order[1:] < order[:-1]).any():
            logs = logs.take(order)
        numbers = self.pools.table.of_logs(logs.address, logs.topics)
        known = numbers >= 0
        self.logs += len(logs)
        self.unknown += int((~known & ~logs.unread).sum())
        known |= logs.unread
        known |= which(logs.topics[:, 0], LENDING_EVENTS) >= 0
        for manager in self.pools.table.managed:
            known |= (logs.address == np.frombuffer(manager, np.uint8)).all(axis=1)
        if not known.all():
            logs, numbers = logs.take(np.flatnonzero(known)), numbers[known]
        parsed = parse_logs(self.pools.chain, logs, self.pools.table, self._times_of(path, logs) * 1_000_000, numbers)
        yield from parsed.batches()
        letters = [(seen + one.position, "malformed", one.detail, one.text) for one in wrong]
        for one in parsed.rejected:
            block, index = int(logs.block[one.row]), int(logs.log_index[one.row])
            letters.append((offset_of(block, index), one.reason, one.detail, f"block {block}, log {index}".encode()))
        if letters:
            yield _dead_letters(path, letters)

    def _times_of(self, path: Path, logs: Logs) -> NDArray[np.int64]:
        """Seconds, of each log. Raises ParseError where nothing says one."""
        times = logs.timestamp_s
        untold = np.flatnonzero(times < 0)
        if len(untold):
            blocks, back = np.unique(logs.block[untold], return_inverse=True)
            found = np.array([self._times.get(block, -1) for block in blocks.tolist()], np.int64)
            if (found < 0).any():
                raise ParseError(
                    f"no time of block {int(blocks[found < 0][0])} is known",
                    hint="add a file of blocks to the files (cryo blocks), or logs with blockTimestamp",
                    file=str(path),
                    reason="no_time",
                )
            times = times.copy()
            times[untold] = found[back]
        return times


def is_logs(path: Path) -> bool:
    """Whether a file holds EVM logs or blocks, by its name and first bytes."""
    if path.suffix == ".parquet":
        return True
    with opened(path) as stream:
        head = stream.read(4096)
    first = head.lstrip()[:1]
    if first in (b"[", b"{"):
        return b'"topics"' in head or b'"result"' in head or head.strip() == b"[]"
    return b"topic0" in head.split(b"\n", 1)[0] or head.startswith((b"block_number,timestamp", b"number,timestamp"))


def _stretches(path: Path) -> Iterator[tuple[Logs, list[BadLog]]]:
    if path.suffix == ".parquet" or _is_csv(path):
        for batch in _columns(path):
            try:
                yield logs_of(batch), []
            except ValueError as fault:
                raise ParseError(f"no logs as cryo writes them: {fault}", file=str(path), reason="malformed") from fault
        return
    with opened(path) as stream:
        before: Logs | None = None
        strange = 0
        for found in stretches(stream, str(path)):
            if isinstance(found, Logs):
                logs, bad = found, list[BadLog]()
            else:
                strange += sum(isinstance(one, bytes) for one in found)
                if strange > _MOST_STRANGE:
                    raise ParseError(
                        f"more than {_MOST_STRANGE:,} objects are no logs", file=str(path), reason="malformed"
                    )
                logs, bad = read_logs(found, None if before is None else last_of(before))
            before = logs if len(logs) else before
            yield logs, bad


def _columns(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(ROWS)
            return
        with opened(path) as stream:
            text = {name: pa.string() for name in (*NEEDED[3:], "topic1", "topic2", "topic3")}
            options = pc_csv.ConvertOptions(column_types=text, strings_can_be_null=True)
            yield from pc_csv.open_csv(stream, convert_options=options)
    except (pa.ArrowInvalid, OSError) as wrong:
        raise ParseError(f"cannot be read: {wrong}", file=str(path), reason="damaged_file") from wrong


def _block_times(path: Path) -> dict[int, int] | None:
    """Block -> seconds, of a file of blocks; None for another."""
    if path.suffix != ".parquet" and not _is_csv(path):
        return None
    batches = _columns(path)
    first = next(batches, None)
    if first is None or "topic0" in first.schema.names:
        return None
    name = next((one for one in _BLOCKS if one in first.schema.names), None)
    if name is None or "timestamp" not in first.schema.names:
        raise UsageError("holds neither logs nor blocks as cryo writes them", file=str(path))
    times: dict[int, int] = {}
    for batch in (first, *batches):
        columns = (batch.column(one).cast(pa.int64()).to_pylist() for one in (name, "timestamp"))
        times.update(zip(*columns, strict=True))
    return times


def _first_block(path: Path) -> tuple[int, str]:
    for logs, _ in _stretches(path):
        if len(logs):
            return int(logs.block.min()), str(path)
    return -1, str(path)


def _is_csv(path: Path) -> bool:
    with opened(path) as stream:
        return stream.read(1) not in (b"[", b"{", b" ", b"\n", b"")


def _dead_letters(path: Path, letters: list[tuple[int, str, str, bytes]]) -> pa.RecordBatch:
    rows = [
        {
            "topic": path.name,
            "partition": 0,
            "offset": offset,
            "timestamp_us": 0,
            "topology": "",
            "run_id": "",
            "stage": "feed",
            "reason": reason,
            "detail": detail,
            "payload": text,
        }
        for offset, reason, detail, text in letters
    ]
    return pa.RecordBatch.from_pylist(rows, schema=ERRORS)


def check_chain(path: Path, pools: KnownPools) -> None:
    """Raise UsageError when a file says that its logs are of another chain than the pools."""
    if path.suffix != ".parquet":
        return
    first = next(iter(_columns(path)), None)
    if first is None or "chain_id" not in first.schema.names or not first.num_rows:
        return
    found = first.column("chain_id")[0].as_py()
    if found is not None and int(found) != id_of(pools.chain):
        raise UsageError(f"its logs are of chain id {found}, the pools of {name_of(pools.chain)}", file=str(path))
