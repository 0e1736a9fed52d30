"""The send kernel: Arrow columns -> librdkafka's queue, row by row, without the GIL.

A row becomes an array of ``rd_kafka_vu_t`` of rdkafka.h: a tag (enum, 4 bytes and 4 of padding) and 64 bytes of union,
nine words in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from mevflow.sinks.kafka.librdkafka import library

_LIBRARY = library()
if _LIBRARY is None:  # pragma: no cover - the caller falls back to the Python API
    raise ImportError("librdkafka is not to be had as a shared library")
# By name and not by address, so that numba can keep the compiled code in its cache.
binding.load_library_permanently(_LIBRARY._name)

_WORDS = 9
# rd_kafka_vtype_t, and RD_KAFKA_MSG_F_COPY
_RKT, _VALUE, _KEY, _MSGFLAGS, _TIMESTAMP = 2, 4, 5, 7, 8
_COPY = 2


@intrinsic
def _load_word(typing_context: Any, address: Any) -> Any:
    """The 64-bit word at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))

    return types.int64(types.intp), generate


_load: Any = _load_word
_produceva: Any = types.ExternalFunction("rd_kafka_produceva", types.intp(types.intp, types.intp, types.intp))
_error_code: Any = types.ExternalFunction("rd_kafka_error_code", types.int32(types.intp))
_error_destroy: Any = types.ExternalFunction("rd_kafka_error_destroy", types.void(types.intp))


@cfunc(types.void(types.intp, types.intp, types.CPointer(types.int64)), cache=True)
def delivered(handle: int, message: int, failure: Any) -> None:
    """Called for messages that were not taken: remember the first one's (error code, partition)."""
    words = carray(failure, (2,))
    if words[0] == 0:
        words[0] = np.int64(np.int32(_load(message) & 0xFFFFFFFF))
        words[1] = np.int64(np.int32(_load(message + 16) & 0xFFFFFFFF))


@njit(nogil=True, cache=True)
def produce(
    handle: int,
    topic: int,
    begin: int,
    values: int,
    value_ends: np.ndarray,
    keyed: bool,
    keys: int,
    key_ends: np.ndarray,
    times_us: np.ndarray,
    words: np.ndarray,
) -> Any:
    """Send rows from ``begin`` on; give (the first row that was not sent, the error code that stopped it or 0)."""
    words[:] = 0
    words[0] = _RKT
    words[1] = topic
    words[_WORDS] = _VALUE
    words[2 * _WORDS] = _MSGFLAGS
    words[2 * _WORDS + 1] = _COPY
    words[3 * _WORDS] = _TIMESTAMP
    words[4 * _WORDS] = _KEY
    fields = 5 if keyed else 4
    for row in range(begin, len(times_us)):
        words[_WORDS + 1] = values + value_ends[row]
        words[_WORDS + 2] = value_ends[row + 1] - value_ends[row]
        words[3 * _WORDS + 1] = times_us[row] // 1000
        if keyed:
            words[4 * _WORDS + 1] = keys + key_ends[row]
            words[4 * _WORDS + 2] = key_ends[row + 1] - key_ends[row]
        error = _produceva(handle, words.ctypes.data, fields)
        if error != 0:
            code = _error_code(error)
            _error_destroy(error)
            return row, code
    return len(times_us), 0
