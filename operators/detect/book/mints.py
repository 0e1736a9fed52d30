"""Mints by number: what they are worth, as the compiled loop keeps it, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.chains import native_of
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.usd_price import MINT_DTYPE
from mevflow.operators.detect.settings import Registry

_LEVELS = {"numeraire": 0, "hub": 1, "token": 2}
_NEVER_US = -(1 << 62)


class Mints:
    """The mints of a book: those of the registry first, then as they appear.

    ``worth`` (MINT_DTYPE) has a row a mint, ``native`` by mint the mint that its chain's fees are
    paid in, or -1.
    """

    def __init__(self, registry: Registry, book: Book) -> None:
        self._tokens = {token.key: token for token in registry.tokens}
        self._book = book
        self.worth: NDArray[np.void] = np.zeros(0, MINT_DTYPE)
        self.native: NDArray[np.int32] = np.zeros(0, np.int32)
        for key in self._tokens:
            book.mint(*key)
        self.grow()

    def grow(self) -> None:
        """Give mints that appeared their place in the array."""
        known, book = len(self.worth), self._book
        if len(book.mints) == known:
            return
        paid_in = {chain: book.mint_index.get((chain, native_of(chain)), -1) for chain, _ in book.mints}
        self.native = np.array([paid_in[chain] for chain, _ in book.mints], np.int32)
        grown = np.zeros(len(book.mints), MINT_DTYPE)
        grown[:known] = self.worth
        self.worth = grown
        for number in range(known, len(grown)):
            token = self._tokens.get(book.mints[number])
            level = self.level(number)
            grown[number]["level"] = level
            grown[number]["usd"] = 10.0**-token.decimals if token and level == 0 else 0.0
            grown[number]["pool"], grown[number]["said_us"] = -1, _NEVER_US

    def level(self, mint: int) -> int:
        """0 for a numeraire, 1 for a hub, 2 for anything else."""
        token = self._tokens.get(self._book.mints[mint])
        return _LEVELS[token.role] if token else _LEVELS["token"]

    def decimals(self, mint: int, pool: int, before: Sequence[tuple[int, int]] = ()) -> int:
        """Decimals of a mint: as the registry or its ``pool`` says; 0 when unknown.

        ``before`` are those that the pool had told before it told others, the first first.
        """
        token = self._tokens.get(self._book.mints[mint])
        if token:
            return token.decimals
        info = self._book.info[pool]
        return (before[0] if before else info.decimals)[info.mints.index(mint)]

    def symbol(self, mint: int, pool: int) -> str:
        """A name for people: the registry's, the pool's, or the address's first characters."""
        token = self._tokens.get(self._book.mints[mint])
        if token:
            return token.symbol
        info = self._book.info[pool]
        return info.symbols[info.mints.index(mint)] or self._book.mints[mint][1].hex()[:8]
