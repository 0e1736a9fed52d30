"""Recorded Solana transactions as batches: answers of ``getTransaction`` and ``getBlock``, one a line.

A line is the answer itself or the JSON-RPC response around it, in any encoding that is read (json, jsonParsed, base64,
base58); gzip too. A transaction's place in its slot is its ``transactionIndex``, or its place in the block or, where
neither is told, in the file. A block does not name its slot: ``"slot"`` beside its ``"result"`` does. No slot and no
time is guessed, and the slots of a file ascend.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import base58
import msgspec
import pyarrow as pa

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.numbers import signature
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.sources.files import FileBatches, opened

#: The longest line: a full block in jsonParsed has tens of megabytes.
_LONGEST_LINE = 128 << 20
#: Transactions between two rounds of batches.
_ROUND = 2_000
_HEAD = 1 << 20
_MARKS = (b'"logMessages"', b'"previousBlockhash"')
_LAST = (1 << 63) - 1
_LAST_INDEX = (1 << 32) - 1


def is_transactions(path: Path) -> bool:
    """Whether a file holds such lines, by what its first megabyte names."""
    with opened(path) as stream:
        try:
            head = stream.read(_HEAD)
        except (OSError, EOFError, zlib.error):
            return False
    return head.lstrip()[:1] == b"{" and any(mark in head for mark in _MARKS)


class TransactionFiles(FileBatches):
    """Batches of ``PoolUpdate``, ``Swap`` and ``DeadLetter`` of files that follow one another by their first slots.

    What opened a position is remembered from file to file.
    """

    kind = "solana_transactions"

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(paths)
        self.transactions = 0
        self._parser = SolanaSwaps(lambda error: None)
        self._order = _Order()
        self._batches = self._read(sorted(paths, key=_first_slot))

    def _read(self, paths: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        waiting = 0
        for path in paths:
            for number, line in _lines(path):
                waiting += self._line(line, path.name, number)
                if waiting >= _ROUND:
                    waiting = 0
                    yield from self._parser.flush()
            self._done += path.stat().st_size
        yield from self._parser.flush()

    def _line(self, line: bytes, file: str, number: int) -> int:
        """Parse one line; how many transactions it held."""
        try:
            answer, slot = _answer(line)
            time_us = _time_us(answer)
            listed = answer.get("transactions")
            if listed is None:
                found = [(self._order.place(slot, answer.get("transactionIndex")), answer)]
            elif isinstance(listed, list):
                found = [(self._order.place(slot, index), one) for index, one in enumerate(listed)]
            else:
                raise ParseError("transactions is not a list", payload=line[:_ROUND])
        except ParseError as wrong:
            self._parser.reject(wrong, file, number)
            return 1
        for index, one in found:
            self._parser.add(one, slot, index, time_us, signature_of(one), file, number)
        self.transactions += len(found)
        return len(found)


class _Order:
    """Places in the chain, each later than the one before."""

    def __init__(self) -> None:
        self._slot, self._next = -1, 0

    def place(self, slot: int, told: object) -> int:
        """A transaction's index in its slot: ``told``, or the next. Raises ParseError where it was passed."""
        if slot > self._slot:
            self._slot, self._next = slot, 0
        index = self._next if told is None else told
        if not isinstance(index, int) or not 0 <= index <= _LAST_INDEX:
            raise ParseError(f"a transaction's index is a number, not {str(index)[:40]!r}")
        if slot < self._slot or index < self._next:
            raise ParseError(
                f"slot {slot}, transaction {index} comes after slot {self._slot}, transaction {self._next - 1}",
                hint="sort the lines by slot and index",
                reason="out_of_order",
            )
        self._next = index + 1
        return index


def _answer(line: bytes) -> tuple[Mapping[str, Any], int]:
    """A transaction or a block, and its slot. Raises ParseError."""
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise ParseError(f"not JSON: {wrong}", payload=line[:_ROUND]) from wrong
    if not isinstance(document, dict):
        raise ParseError("not an object", payload=line[:_ROUND])
    answer = document.get("result", document)
    if not isinstance(answer, dict):
        raise ParseError("no transaction and no block was answered", reason="no_answer", payload=line[:_ROUND])
    slot = answer.get("slot", document.get("slot"))
    if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot <= _LAST:
        raise ParseError(
            "the slot is not told",
            hint='a block\'s line is {"slot": NUMBER, "result": {...}}',
            reason="no_slot",
            payload=line[:_ROUND],
        )
    return answer, slot


def _time_us(answer: Mapping[str, Any]) -> int:
    time_s = answer.get("blockTime")
    if not isinstance(time_s, int) or isinstance(time_s, bool) or not 0 <= time_s < 1 << 32:
        raise ParseError("blockTime does not tell a time in seconds", reason="no_time")
    return time_s * 1_000_000


def signature_of(one: Any) -> bytes:
    """The transaction's first signature; empty where it cannot be read, which its parsing then says."""
    transaction: Any = one.get("transaction") if isinstance(one, dict) else None
    try:
        if isinstance(transaction, dict):
            return signature(transaction["signatures"][0])
        text, encoding = (transaction, "base58") if isinstance(transaction, str) else transaction
        if len(text) > 2_500:
            return b""
        raw = base58.b58decode(text) if encoding == "base58" else base64.b64decode(text[:88])
        return raw[1:65]  # the first byte counts the signatures
    except (ParseError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return b""


def _first_slot(path: Path) -> tuple[int, str]:
    for _, line in _lines(path):
        try:
            return _answer(line)[1], str(path)
        except ParseError:
            continue
    return -1, str(path)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not empty. Raises ParseError for a damaged file or a line without end."""
    with opened(path) as stream:
        number = 0
        while True:
            number += 1
            try:
                line = stream.readline(_LONGEST_LINE + 1)
            except (OSError, EOFError, zlib.error) as wrong:
                raise ParseError(
                    f"cannot be read on: {wrong}", file=str(path), line=number, reason="damaged_file"
                ) from wrong
            if len(line) > _LONGEST_LINE:
                raise ParseError(f"a line of more than {_LONGEST_LINE >> 20} MiB", file=str(path), line=number)
            if not line:
                return
            if line.strip():
                yield number, line
