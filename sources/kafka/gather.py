"""The copy kernel: an array of librdkafka message pointers -> columns.

A pointer is to ``rd_kafka_message_t`` of rdkafka.h (a stable public struct, 72 bytes on 64-bit machines)::

    0 err:i32   8 rkt:*   16 partition:i32   24 payload:*   32 len:size_t
    40 key:*   48 key_len:size_t   56 offset:i64   64 _private:*
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

from mevflow.operators.bounds import MAX_TIME_US
from mevflow.sources.kafka.librdkafka import PARTITION_EOF, library

_LIBRARY = library()
if _LIBRARY is None:  # pragma: no cover - the caller falls back to the Python API
    raise ImportError("librdkafka is not to be had as a shared library")
# By name and not by address, so that numba can keep the compiled code in its cache.
binding.load_library_permanently(_LIBRARY._name)

_timestamp_ms: Any = types.ExternalFunction("rd_kafka_message_timestamp", types.int64(types.intp, types.intp))
_destroy: Any = types.ExternalFunction("rd_kafka_message_destroy", types.void(types.intp))
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))


@intrinsic
def _load_word(typing_context: Any, address: Any) -> Any:
    """The 64-bit word at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load(pointer)

    return types.int64(types.intp), generate


_load: Any = _load_word
_MAX_TIME_MS = MAX_TIME_US // 1000 - 1


@njit(nogil=True, cache=True)
def _error(message: int) -> int:
    """``err``, sign-extended."""
    return np.int64(np.int32(_load(message) & 0xFFFFFFFF))  # type: ignore[return-value]


@njit(nogil=True, cache=True)
def _time_us(message: int) -> int:
    """The record's timestamp; one that is outside the calendar is held at its edge (and has no say over others)."""
    return min(max(_timestamp_ms(message, 0), 0), _MAX_TIME_MS) * 1000


@njit(nogil=True, cache=True)
def last_time_us(messages: np.ndarray, start: int, stop: int) -> int:
    """Timestamp of the last real message of ``messages[start:stop]``; -1 when there is none."""
    for i in range(stop - 1, start - 1, -1):
        if _error(messages[i]) == 0:
            return _time_us(messages[i])
    return -1


@njit(nogil=True, cache=True)
def gather(messages: np.ndarray, count: int, next_offset: np.ndarray, last_us: np.ndarray, ended: np.ndarray) -> Any:
    """Copy ``count`` messages out and give them back to librdkafka.

    ``messages`` are pointers (intp). ``next_offset`` and ``last_us`` (int64, by partition) are moved on; ``ended``
    (bool, by partition) says whether the last that came was the mark of the partition's end.
    Gives (values uint8[bytes], ends int32[rows + 1], times_us int64[rows], partitions int32[rows],
    offsets int64[rows], faults int64[n, 3] of (partition, error code, offset)). An end-of-partition mark is no
    fault: it moves ``next_offset`` over what readers are not shown (transaction marks, compacted records).
    """
    rows = 0
    size = 0
    wrong = 0
    for i in range(count):
        code = _error(messages[i])
        if code == 0:
            rows += 1
            size += _load(messages[i] + 32)
        elif code != PARTITION_EOF:
            wrong += 1
    values = np.empty(size, np.uint8)
    ends = np.empty(rows + 1, np.int32)
    times_us = np.empty(rows, np.int64)
    partitions = np.empty(rows, np.int32)
    offsets = np.empty(rows, np.int64)
    faults = np.empty((wrong, 3), np.int64)
    row = 0
    end = 0
    fault = 0
    ends[0] = 0
    start = values.ctypes.data
    for i in range(count):
        message = messages[i]
        code = _error(message)
        partition = np.int32(_load(message + 16) & 0xFFFFFFFF)
        offset = _load(message + 56)
        if code == 0:
            length = _load(message + 32)
            if length > 0:
                _memcpy(start + end, _load(message + 24), length)
            end += length
            ends[row + 1] = end
            time_us = _time_us(message)
            times_us[row] = time_us
            partitions[row] = partition
            offsets[row] = offset
            next_offset[partition] = offset + 1
            last_us[partition] = time_us
            ended[partition] = False
            row += 1
        elif code == PARTITION_EOF:
            ended[partition] = True
            next_offset[partition] = max(next_offset[partition], offset)
        else:
            ended[partition] = False
            faults[fault, 0] = partition
            faults[fault, 1] = code
            faults[fault, 2] = offset
            fault += 1
        _destroy(message)
    return values, ends, times_us, partitions, offsets, faults
