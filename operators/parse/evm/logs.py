"""EVM logs as columns: addresses, topics and data as bytes of one array each, whoever wrote the JSON.

Fields are those of ``eth_getLogs`` (Ethereum execution-apis, ``Log``). A log that is not what they say is set aside
with its place and the reason; the others stay in order.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import cast

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

#: What one log may hold; no pool's event is longer.
MAX_DATA_BYTES = 1 << 16
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
_WORD = re.compile(r"0[xX][0-9a-fA-F]{64}")
_DATA = re.compile(r"0[xX](?:[0-9a-fA-F]{2})*")
_QUANTITY = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
#: Fields of an object that is no log.
_FIELD = re.compile(
    rb'"(address|blockNumber|transactionIndex|logIndex|transactionHash|blockTimestamp)"\s*:\s*"([0-9a-fA-FxX]{3,66})"'
)
_FIRST_TOPIC = re.compile(rb'"topics"\s*:\s*\[\s*"(0[xX][0-9a-fA-F]{64})"')
_NOBODY = "0x" + "00" * 20


class LogJson(msgspec.Struct, rename="camel", gc=False):
    """One object of ``eth_getLogs``; numbers are hexadecimal text. What is not listed is not read."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    block_hash: str | None = None
    removed: bool = False
    block_timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class BadLog:
    """A log that cannot be read: its place in the input, why, and the log as it came."""

    position: int
    detail: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Logs:
    """``n`` logs in the order they came.

    address : (n, 20). topics : (n, 4, 32), zeros beyond ``topic_count``. data : the bytes of all, log ``i``'s from
    ``data_at[i]``, ``data_size[i]`` of them. block, tx_index, log_index, timestamp_s : (n,), timestamp -1 where the
    log does not say. tx_hash : (n, 32). removed : (n,). position : (n,) of each in the input. unread : (n,), logs that
    cannot be read: only their place is true, their first topic if it has one, and their address, all zero if nobody
    knows whose they are.
    """

    address: Bytes
    topics: Bytes
    topic_count: Numbers
    data: Bytes
    data_at: Numbers
    data_size: Numbers
    block: Numbers
    tx_index: Numbers
    log_index: Numbers
    timestamp_s: Numbers
    tx_hash: Bytes
    removed: NDArray[np.bool_]
    position: Numbers
    unread: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.block)

    def take(self, rows: NDArray[np.intp]) -> Logs:
        """Some logs, in the order of ``rows``."""
        return Logs(
            self.address[rows], self.topics[rows], self.topic_count[rows],
            self.data, self.data_at[rows], self.data_size[rows],
            self.block[rows], self.tx_index[rows], self.log_index[rows], self.timestamp_s[rows],
            self.tx_hash[rows], self.removed[rows], self.position[rows], self.unread[rows],
        )  # fmt: skip

    def since(self, row: int) -> Logs:
        """The logs from ``row`` on with nothing but their own data; the data must lie in the order of the logs."""
        rest = self.take(np.arange(row, len(self)))
        begin = int(rest.data_at[0]) if len(rest) else len(self.data)
        return replace(rest, data=self.data[begin:], data_at=rest.data_at - begin)

    def and_then(self, other: Logs) -> Logs:
        """These logs and those of ``other``; positions are counted on."""
        columns = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in self.__slots__
            if name not in ("data_at", "position")
        }
        at = np.concatenate([self.data_at, other.data_at + len(self.data)])
        return Logs(**columns, data_at=at, position=np.arange(len(self) + len(other)))

    def words(self, rows: NDArray[np.intp], count: int) -> Bytes:
        """The data of ``rows``, each ``count`` words long, as (rows, count, 32) big-endian bytes."""
        if not len(rows):
            return np.empty((0, count, 32), np.uint8)
        # Of every place the bytes from there on: each row is copied as one piece.
        found: Bytes = sliding_window_view(self.data, count * 32)[self.data_at[rows]]
        return found.reshape(len(rows), count, 32)

    def word_counts(self) -> Numbers:
        """Whole words of data by log; -1 where the data are no whole number of words."""
        counts: Numbers = np.where(self.data_size % 32 == 0, self.data_size // 32, -1)
        return counts


def read_logs(found: Sequence[LogJson | bytes], after: LogJson | None = None) -> tuple[Logs, list[BadLog]]:
    """Columns of ``found``, and what of it could not be read; ``bytes`` are objects that are no logs.

    ``after`` is the log before the first. What cannot be read has a row, too (``unread``), unless no other log tells
    about where it stands.
    """
    try:
        return _columns(cast("Sequence[LogJson]", found), np.arange(len(found))), []
    except (ValueError, OverflowError, AttributeError):
        pass  # at least one is wrong: look at each
    bad: list[BadLog] = []
    for i, one in enumerate(found):
        if isinstance(one, bytes):
            bad.append(BadLog(i, "not a log as eth_getLogs gives them", one))
        elif detail := _fault(one):
            bad.append(BadLog(i, detail, msgspec.json.encode(one)))
    rows = _standing(found, {one.position for one in bad}, after)
    logs = _columns([log for _, log in rows], np.array([i for i, _ in rows], np.int64))
    return replace(logs, unread=np.isin(logs.position, [one.position for one in bad])), bad


def last_of(logs: Logs) -> LogJson:
    """The place and the time of the last of some logs, as a log that says no more."""
    time = int(logs.timestamp_s[-1])
    return LogJson(
        address=_NOBODY,
        topics=[],
        data="0x",
        block_number=hex(int(logs.block[-1])),
        transaction_hash="0x" + logs.tx_hash[-1].tobytes().hex(),
        transaction_index=hex(int(logs.tx_index[-1])),
        log_index=hex(int(logs.log_index[-1])),
        block_timestamp=None if time < 0 else hex(time),
    )


def _columns(found: Sequence[LogJson], position: Numbers) -> Logs:
    """Raises ValueError when any log is malformed."""
    count = len(found)
    told = [log.topics for log in found]
    topic_count = np.fromiter(map(len, told), np.int64, count)
    if count and (topic_count.max() > 4):
        raise ValueError("more than four topics")
    topics = np.zeros((count, 4, 32), np.uint8)
    slots = np.arange(4)[None, :] < topic_count[:, None]
    topics[slots] = _fixed(list(chain.from_iterable(told)), 32)
    data = [log.data for log in found]
    sizes = np.fromiter(map(len, data), np.int64, count) - 2
    if count and (sizes.min() < 0 or (sizes & 1).any() or sizes.max() > 2 * MAX_DATA_BYTES):
        raise ValueError("data of a wrong length")
    ends = np.cumsum(sizes // 2)
    times = [log.block_timestamp for log in found]
    return Logs(
        address=_fixed([log.address for log in found], 20),
        topics=topics,
        topic_count=topic_count,
        data=_hex(data, sizes + 2),
        data_at=ends - sizes // 2,
        data_size=sizes // 2,
        block=_quantities([log.block_number for log in found]),
        tx_index=_quantities([log.transaction_index for log in found]),
        log_index=_quantities([log.log_index for log in found]),
        timestamp_s=np.full(count, -1, np.int64) if set(times) == {None} else _quantities(times),
        tx_hash=_fixed([log.transaction_hash for log in found], 32),
        removed=np.fromiter((log.removed for log in found), np.bool_, count),
        position=position,
        unread=np.zeros(count, np.bool_),
    )


def _hex(texts: list[str], lengths: Numbers) -> Bytes:
    """The bytes of ``0x`` and hexadecimal digits, one text's after the other's; ``lengths`` are the texts' own."""
    letters = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    at = np.cumsum(lengths) - lengths
    if not ((letters[at] == ord("0")) & ((letters[at + 1] | 0x20) == ord("x"))).all():
        raise ValueError("no 0x")
    digits = np.ones(len(letters), np.bool_)
    digits[at] = digits[at + 1] = False
    return np.frombuffer(unhexlify(letters[digits].tobytes()), np.uint8)


def _fixed(texts: list[str], width: int) -> Bytes:
    if not set(map(len, texts)) <= {2 + 2 * width}:
        raise ValueError("of another width")
    joined = "".join(texts).encode()
    rows = np.frombuffer(joined, np.uint8).reshape(len(texts), 2 + 2 * width)
    if not ((rows[:, 0] == ord("0")) & ((rows[:, 1] | 0x20) == ord("x"))).all():
        raise ValueError("no 0x")
    return np.frombuffer(unhexlify(rows[:, 2:].tobytes()), np.uint8).reshape(len(texts), width)


def _quantities(texts: Sequence[str | None]) -> Numbers:
    """Numbers of 63 bits, -1 for None. Those of neighbouring logs are often the same, so each text is read once."""
    known: dict[str | None, int] = {}
    for text in set(texts):
        if text is not None and not _QUANTITY.fullmatch(text):
            raise ValueError("no number of 64 bits")
        known[text] = -1 if text is None else int(text, 16)
    return np.fromiter(map(known.__getitem__, texts), np.int64, len(texts))


def _standing(found: Sequence[LogJson | bytes], wrong: set[int], after: LogJson | None) -> list[tuple[int, LogJson]]:
    """All logs with their positions; those that are ``wrong`` as what can be read of them, right behind the one before.

    Of neighbours of which nobody knows whose they are one is enough.
    """
    last = after or next((log for i, log in enumerate(found) if i not in wrong and isinstance(log, LogJson)), None)
    rows: list[tuple[int, LogJson]] = []
    for i, one in enumerate(found):
        if i not in wrong and isinstance(one, LogJson):
            last = one
            rows.append((i, one))
        elif last is not None:
            log = _readable(one, last)
            if log.address != _NOBODY or not rows or rows[-1][1] != log:
                rows.append((i, log))
    return rows


def _readable(one: LogJson | bytes, last: LogJson) -> LogJson:
    """What can be read of a log that cannot: whose it is, its first topic, and its place, or that behind ``last``."""
    if isinstance(one, bytes):
        told = {match[1].decode(): match[2].decode() for match in _FIELD.finditer(one)}
        topics = [match[1].decode()] if (match := _FIRST_TOPIC.search(one)) else []
    else:
        told = {name: value for name, value in msgspec.to_builtins(one).items() if isinstance(value, str)}
        topics = one.topics[:1]
    place = [told.get(name, "") for name in ("blockNumber", "transactionIndex", "logIndex")]
    if not all(_QUANTITY.fullmatch(text) and int(text, 16) < 1 << 63 for text in place):
        place = [last.block_number, last.transaction_index, hex(int(last.log_index, 16) + 1)]
    address, tx, time = told.get("address", ""), told.get("transactionHash", ""), told.get("blockTimestamp", "")
    return LogJson(
        address=address if _ADDRESS.fullmatch(address) else _NOBODY,
        topics=topics if all(map(_WORD.fullmatch, topics)) else [],
        data="0x",
        block_number=place[0],
        transaction_index=place[1],
        log_index=place[2],
        transaction_hash=tx if _WORD.fullmatch(tx) else last.transaction_hash,
        block_timestamp=time if _QUANTITY.fullmatch(time) and int(time, 16) < 1 << 63 else last.block_timestamp,
    )


def _fault(log: LogJson) -> str:
    """Why a log cannot be read, or nothing."""
    if not _ADDRESS.fullmatch(log.address):
        return f"the address {log.address[:44]!r} is not 20 bytes"
    if len(log.topics) > 4 or not all(_WORD.fullmatch(topic) for topic in log.topics):
        return "topics are up to four words of 32 bytes"
    if len(log.data) > 2 + 2 * MAX_DATA_BYTES or not _DATA.fullmatch(log.data):
        return "data are whole bytes in hexadecimal, 64 KiB at most"
    if not _WORD.fullmatch(log.transaction_hash):
        return "the transaction's hash is not 32 bytes"
    numbers = (log.block_number, log.transaction_index, log.log_index, log.block_timestamp or "0x0")
    if not all(_QUANTITY.fullmatch(text) and int(text, 16) < 1 << 63 for text in numbers):
        return "a block, an index or a time is not a number of 63 bits"
    return ""
