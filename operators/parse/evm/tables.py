"""EVM logs that are columns already: Parquet or CSV as cryo writes them (github.com/paradigmxyz/cryo, ``logs``).

Columns: ``block_number, transaction_index, log_index, transaction_hash, address, topic0 .. topic3, data``, bytes as
binary or (``--hex``) as 0x-text. ``timestamp`` or ``block_timestamp`` (seconds) is read where there is one, and so is
``removed``, as tables made of a node's own answers have it.
"""

from __future__ import annotations

from binascii import unhexlify

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.parse.evm.logs import MAX_DATA_BYTES, Bytes, Logs, Numbers

NEEDED = ("block_number", "transaction_index", "log_index", "transaction_hash", "address", "topic0", "data")
_TOPICS = ("topic0", "topic1", "topic2", "topic3")
TIMES = ("timestamp", "block_timestamp")


def logs_of(batch: pa.RecordBatch) -> Logs:
    """The batch's logs. Raises ValueError when a column is missing or a value is none that a log has."""
    missing = [name for name in NEEDED if name not in batch.schema.names]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    rows = batch.num_rows
    topics = np.zeros((rows, 4, 32), np.uint8)
    count = np.zeros(rows, np.int64)
    for place, name in enumerate(_TOPICS):
        if name not in batch.schema.names or pa.types.is_null(batch.column(name).type):
            continue
        column = batch.column(name)
        there = np.asarray(pc.is_valid(column)) & (np.asarray(pc.fill_null(pc.binary_length(column), 0)) > 0)
        if (there & (count != place)).any():
            raise ValueError(f"{name} without the topics before it")
        topics[there, place] = _fixed(column.filter(pa.array(there)), 32)
        count += there
    data, size = _variable(batch.column("data"))
    if rows and size.max() > MAX_DATA_BYTES:
        raise ValueError("data of more than 64 KiB")
    times = next((name for name in TIMES if name in batch.schema.names), None)
    return Logs(
        address=_fixed(batch.column("address"), 20),
        topics=topics,
        topic_count=count,
        data=data,
        data_at=np.cumsum(size) - size,
        data_size=size,
        block=_numbers(batch.column("block_number")),
        tx_index=_numbers(batch.column("transaction_index")),
        log_index=_numbers(batch.column("log_index")),
        timestamp_s=np.full(rows, -1, np.int64) if times is None else _numbers(batch.column(times)),
        tx_hash=_fixed(batch.column("transaction_hash"), 32),
        removed=_flags(batch),
        position=np.arange(rows),
        unread=np.zeros(rows, np.bool_),
    )


def _flags(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Which logs the chain took back; text as spreadsheets and databases write it, too."""
    if "removed" not in batch.schema.names or pa.types.is_null(batch.column("removed").type):
        return np.zeros(batch.num_rows, np.bool_)
    try:
        told = batch.column("removed").cast(pa.bool_()).fill_null(False)
    except pa.ArrowInvalid as wrong:
        raise ValueError(f"removed is true or false: {wrong}") from wrong
    flags: NDArray[np.bool_] = told.to_numpy(zero_copy_only=False)
    return flags


def _numbers(column: pa.Array) -> Numbers:
    if column.null_count:
        raise ValueError("a number is missing")
    found: Numbers = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _fixed(column: pa.Array, width: int) -> Bytes:
    data, size = _variable(column)
    if (size != width).any():
        raise ValueError(f"a value is not {width} bytes")
    return data.reshape(len(size), width)


def _variable(column: pa.Array) -> tuple[Bytes, Numbers]:
    """All bytes of a column of bytes or of 0x-text, and how many each value has."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = column.fill_null("0x").cast(pa.large_utf8())
        if len(text) and not pc.all(pc.starts_with(text, "0x", ignore_case=True)).as_py():
            raise ValueError("bytes as text begin with 0x")
        digits = pc.utf8_slice_codeunits(text, 2)
        size: NDArray[np.int64] = np.asarray(pc.binary_length(digits)).astype(np.int64)
        if (size & 1).any():
            raise ValueError("half a byte")
        return np.frombuffer(unhexlify("".join(digits.to_pylist())), np.uint8), size // 2
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if not any(kind(column.type) for kind in kinds):
        raise ValueError(f"bytes are binary or 0x-text, not {column.type}")
    column = column.cast(pa.large_binary()).fill_null(b"")
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    blob = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    begin, end = (int(offsets[0]), int(offsets[-1])) if len(column) else (0, 0)
    return blob[begin:end], np.diff(offsets).astype(np.int64)
