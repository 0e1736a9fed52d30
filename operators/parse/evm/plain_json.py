"""Logs in JSON as nodes write them -> columns, in one compiled pass: no object stands for a log.

A stretch is *plain* when every log in it has each field once, in any order, as ``eth_getLogs`` gives it: text without
escapes, whole bytes in hexadecimal, numbers of 63 bits. Of a stretch that has anything else nothing is read here: the
general reader (:mod:`.logs`) decides log by log what it is worth, so that no rule stands twice.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from mevflow.operators.parse.evm.logs import MAX_DATA_BYTES, Logs

_FIELDS = (
    b"address",
    b"topics",
    b"data",
    b"blockNumber",
    b"transactionIndex",
    b"logIndex",
    b"blockTimestamp",
    b"transactionHash",
    b"removed",
    b"blockHash",
)
_ADDRESS, _TOPICS, _DATA, _BLOCK, _TX, _LOG, _TIME, _HASH, _REMOVED, _BLOCK_HASH = range(len(_FIELDS))
#: All but the time, the block's hash and whether it was taken back.
_NEEDED = sum(1 << field for field in (_ADDRESS, _TOPICS, _DATA, _BLOCK, _TX, _LOG, _HASH))
_NAMES = np.frombuffer(b"".join(_FIELDS), np.uint8)
_NAME_ENDS = np.cumsum([0, *map(len, _FIELDS)])
#: No log is shorter: its names, an address, a hash, four numbers.
_LEAST = 200
_NOT_HEX = 255
_HEX = np.full(256, _NOT_HEX, np.uint8)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def plain_logs(text: bytes | memoryview) -> Logs | None:
    """The logs of a stretch of objects with commas, brackets or lines between them; None where it is not plain."""
    most = len(text) // _LEAST + 1
    octets = np.frombuffer(text, np.uint8)
    address, tx_hash = np.empty((most, 20), np.uint8), np.empty((most, 32), np.uint8)
    topics, topic_count = np.zeros((most, 4, 32), np.uint8), np.zeros(most, np.int64)
    data, data_size = np.empty(len(text) // 2, np.uint8), np.zeros(most, np.int64)
    numbers, removed = np.full((4, most), -1, np.int64), np.zeros(most, np.bool_)
    count = _scan(octets, address, topics, topic_count, data, data_size, numbers, tx_hash, removed)
    if count < 0:
        return None
    size, ends = data_size[:count], np.cumsum(data_size[:count])
    return Logs(
        address=address[:count],
        topics=topics[:count],
        topic_count=topic_count[:count],
        data=data[: int(size.sum())],
        data_at=ends - size,
        data_size=size,
        block=numbers[0, :count],
        tx_index=numbers[1, :count],
        log_index=numbers[2, :count],
        timestamp_s=numbers[3, :count],
        tx_hash=tx_hash[:count],
        removed=removed[:count],
        position=np.arange(count),
        unread=np.zeros(count, np.bool_),
    )


@njit(cache=True, nogil=True, inline="always")
def _blank(text, at):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Where something stands at or after ``at``; the end where nothing does."""
    while at < len(text) and (text[at] == 32 or 9 <= text[at] <= 13):
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _close(text, at):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The quote that ends the text at ``at``; -1 where it does not end, or has escapes or what is not ASCII."""
    while at < len(text):
        octet = text[at]
        if octet == 34:
            return at
        if octet == 92 or octet < 32 or octet > 126:
            return -1
        at += 1
    return -1


@njit(cache=True, nogil=True)
def _field(text, begin, end):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Which field a name is; -1 for another."""
    for field in range(len(_NAME_ENDS) - 1):
        first = _NAME_ENDS[field]
        if _NAME_ENDS[field + 1] - first != end - begin or _NAMES[first] != text[begin]:
            continue
        same = True
        for i in range(1, end - begin):
            if _NAMES[first + i] != text[begin + i]:
                same = False
                break
        if same:
            return field
    return -1


@njit(cache=True, nogil=True, inline="always")
def _is_digit(octet):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Whether a character is a hexadecimal digit; without a table, so that many are looked at in one instruction."""
    letter = (octet | np.uint8(32)) - np.uint8(97)
    return (np.uint8(octet - np.uint8(48)) < 10) | (np.uint8(letter) < 6)


@njit(cache=True, nogil=True, inline="always")
def _digit(octet):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """What a hexadecimal digit stands for."""
    return np.uint8((octet & np.uint8(15)) + np.uint8(9) * (octet >> np.uint8(6)))


@njit(cache=True, nogil=True, inline="always")
def _octets(text, begin, count, out, at):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the bytes of ``2 * count`` digits to ``out`` from ``at`` on; False where there is anything else."""
    good = True
    for i in range(count):
        high, low = text[begin + 2 * i], text[begin + 2 * i + 1]
        good &= _is_digit(high) & _is_digit(low)
        out[at + i] = _digit(high) << np.uint8(4) | _digit(low)
    return good


@njit(cache=True, nogil=True, inline="always")
def _fixed(text, begin, count, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The quote that ends a text of ``0x`` and so many bytes, which are written to ``out``; -1 where it is none."""
    end = begin + 2 + 2 * count
    if end >= len(text) or text[end] != 34 or text[begin] != 48 or text[begin + 1] | 32 != 120:
        return -1
    return end if _octets(text, begin + 2, count, out, 0) else -1


@njit(cache=True, nogil=True)
def _any_length(text, begin, out, at):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The same of a text of ``0x`` and bytes, written from ``at`` on: a word at a time, then what is left."""
    if begin + 2 > len(text) or text[begin] != 48 or text[begin + 1] | 32 != 120:
        return -1
    here = begin + 2
    while here + 64 <= len(text) and _octets(text, here, 32, out, at):
        here, at = here + 64, at + 32
    while here + 2 <= len(text) and _octets(text, here, 1, out, at):
        here, at = here + 2, at + 1
    return here if here < len(text) and text[here] == 34 else -1


@njit(cache=True, nogil=True, inline="always")
def _number(text, begin, end):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A number of 63 bits in hexadecimal; -1 where it is none."""
    if end - begin < 3 or end - begin > 18 or text[begin] != 48 or text[begin + 1] | 32 != 120:
        return np.int64(-1)
    number = np.uint64(0)
    for i in range(begin + 2, end):
        digit = _HEX[text[i]]
        if digit > 15:
            return np.int64(-1)
        number = number << np.uint64(4) | np.uint64(digit)
    return np.int64(number) if number >> np.uint64(63) == 0 else np.int64(-1)


@njit(cache=True, nogil=True)
def _word(text, at):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """(end, value) of ``true`` (1), ``false`` (0), ``null`` (2) or a whole number (3) at ``at``; -1 for another."""
    size = len(text)
    if at + 4 <= size and text[at] == 116 and text[at + 1] == 114 and text[at + 2] == 117 and text[at + 3] == 101:
        return at + 4, 1
    if at + 4 <= size and text[at] == 110 and text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108:
        return at + 4, 2
    if at + 5 <= size and text[at] == 102 and text[at + 1] == 97 and text[at + 2] == 108 and text[at + 3] == 115:
        return at + 5 if text[at + 4] == 101 else -1, 0
    begin = at
    while at < size and 48 <= text[at] <= 57:
        at += 1
    plain = at > begin and (text[begin] != 48 or at == begin + 1)
    return at if plain else -1, 3


_BYTES = types.uint8[::1]


@njit(
    types.int64(
        types.Array(types.uint8, 1, "C", readonly=True),
        types.uint8[:, ::1],
        types.uint8[:, :, ::1],
        types.int64[::1],
        _BYTES,
        types.int64[::1],
        types.int64[:, ::1],
        types.uint8[:, ::1],
        types.boolean[::1],
    ),
    cache=True,
    nogil=True,
)
def _scan(text, address, topics, topic_count, data, data_size, numbers, tx_hash, removed):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many logs were read; -1 at the first that is not plain. ``at`` only grows, and is checked at every step."""
    row, at, filled, unwanted = 0, 0, 0, np.empty(32, np.uint8)
    while True:
        while at < len(text) and (text[at] in (32, 44, 91, 93) or 9 <= text[at] <= 13):
            at += 1
        if at == len(text):
            return row
        if text[at] != 123 or row == len(address):
            return -1
        at, seen = at + 1, 0
        while True:
            at = _blank(text, at)
            if at == len(text) or text[at] != 34:
                return -1
            begin = at + 1
            end = _close(text, begin)
            if end <= begin:
                return -1
            field = _field(text, begin, end)
            if field >= 0:
                if seen >> field & 1:
                    return -1
                seen |= 1 << field
            at = _blank(text, end + 1)
            if at == len(text) or text[at] != 58:
                return -1
            at = _blank(text, at + 1)
            if at == len(text):
                return -1
            if field == _TOPICS:
                if text[at] != 91:
                    return -1
                count = 0
                at = _blank(text, at + 1)
                while at < len(text) and text[at] != 93:
                    if text[at] != 34 or count == 4:
                        return -1
                    end = _fixed(text, at + 1, 32, topics[row, count])
                    if end < 0:
                        return -1
                    count += 1
                    at = _blank(text, end + 1)
                    if at < len(text) and text[at] == 44:
                        at = _blank(text, at + 1)
                        if at == len(text) or text[at] == 93:
                            return -1
                    elif at == len(text) or text[at] != 93:
                        return -1
                if at == len(text):
                    return -1
                topic_count[row] = count
                at += 1
            elif text[at] == 34:
                begin = at + 1
                if field == _DATA:
                    end = _any_length(text, begin, data, filled)
                    size = (end - begin - 2) >> 1
                    data_size[row] = size
                    filled += size
                    if size > MAX_DATA_BYTES:
                        return -1
                elif field == _ADDRESS:
                    end = _fixed(text, begin, 20, address[row])
                elif field == _HASH:
                    end = _fixed(text, begin, 32, tx_hash[row])
                else:
                    # Of the block's hash nothing is wanted: where it is one, it need not be looked at twice.
                    end = _fixed(text, begin, 32, unwanted) if field == _BLOCK_HASH else -1
                    end = end if end >= 0 else _close(text, begin)
                if end < 0 or field == _REMOVED:
                    return -1
                if _BLOCK <= field <= _TIME:
                    number = _number(text, begin, end)
                    if number < 0:
                        return -1
                    numbers[field - _BLOCK, row] = number
                at = end + 1
            else:
                at, value = _word(text, at)
                absent = field in (_TIME, _BLOCK_HASH) and value == 2
                if at < 0 or not (field < 0 or absent or (field == _REMOVED and value < 2)):
                    return -1
                if field == _REMOVED:
                    removed[row] = value == 1
            at = _blank(text, at)
            if at == len(text):
                return -1
            if text[at] == 125:
                at += 1
                break
            if text[at] != 44:
                return -1
            at += 1
        if seen & _NEEDED != _NEEDED:
            return -1
        row += 1
