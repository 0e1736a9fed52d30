"""What cycles and opportunities are called: as :mod:`mevflow.operators.ids` has it, for many rows at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xxhash
from numba import njit
from numpy.typing import NDArray

from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.mints import Mints
from mevflow.operators.detect.report.cycles import Cycle
from mevflow.operators.ids import canonical

#: Kind and length before every part of an id, and the bytes of the longest integer: one of 64 bits and its sign.
_HEAD, _LONGEST = 5, 9


class CycleNames:
    """Names of cycles by their legs, each worked out once for as long as no pool tells others."""

    def __init__(self, book: Book, mints: Mints) -> None:
        self.book, self._mints = book, mints
        self._keys: dict[int, bytes] = {}
        self._symbols: dict[int, str] = {}
        self._renamed = book.renamed

    def of(self, cycle: Cycle) -> tuple[bytes, str]:
        """The cycle's part of an opportunity's id, and the symbols of its mints, as ``A > B > A``."""
        if self._renamed != self.book.renamed:
            self._renamed = self.book.renamed
            self._keys.clear()
        for leg in cycle:
            if leg not in self._keys:
                self._name(leg)
        symbols = [self._symbols[leg] for leg in cycle]
        return b"".join([self._keys[leg] for leg in cycle]), " > ".join([*symbols, symbols[0]])

    def _name(self, leg: int) -> None:
        book, number = self.book, leg >> 1
        info = book.info[number]
        source, target = info.mints if leg & 1 else info.mints[::-1]
        parts: list[bytes | int] = [info.key, leg & 1]
        if len(book.info[info.first].faces) > 1:  # two cycles may differ in the coins alone
            parts += [book.mints[source][1], book.mints[target][1]]
        self._keys[leg], self._symbols[leg] = canonical(*parts), self._mints.symbol(source, number)


def shard_of(key: bytes, shards: int) -> int:
    """Which shard a cycle belongs to, by its key."""
    return xxhash.xxh3_128_digest(key)[0] % shards


def opportunity_ids(head: bytes, places: NDArray[np.uint64], keys: list[bytes]) -> list[bytes]:
    """The 16-byte ids of opportunities: ``head``, then the integers of ``places`` ``(rows, parts)``, then the key."""
    rows, parts = places.shape
    out, ends = np.empty(rows * parts * (_HEAD + _LONGEST), np.uint8), np.zeros(rows + 1, np.int64)
    _write(places, out, ends)
    written = out.tobytes()
    digest = xxhash.xxh3_128_digest
    return [
        digest(head + written[begin:end] + key) for (begin, end), key in zip(pairwise(ends.tolist()), keys, strict=True)
    ]


@njit(cache=True, nogil=True)
def _write(numbers, out, ends):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Each row's integers in canonical form: signed little-endian in as few whole bytes as hold them."""
    at = 0
    for row in range(numbers.shape[0]):
        for part in range(numbers.shape[1]):
            number = numbers[row, part]
            size = at
            out[at] = ord("i")
            out[at + 1 : at + _HEAD] = 0
            at += _HEAD
            while number > np.uint64(0x7F):
                out[at] = number & np.uint64(0xFF)
                number >>= np.uint64(8)
                at += 1
            out[at] = number
            at += 1
            out[size + 1] = at - size - _HEAD
        ends[row + 1] = at


def prepare() -> None:
    """Load the compiled code before data flows."""
    opportunity_ids(b"", np.zeros((1, 1), np.uint64), [b""])
