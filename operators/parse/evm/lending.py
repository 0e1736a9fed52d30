"""Logs of lending markets -> rows of liquidations. Anybody can log one: a row names the contract that did.

Aave ``IPool.sol`` (v2 and v3), Compound v2 ``CTokenInterfaces.sol``, Compound v3 ``CometMainInterface.sol``, Morpho
Blue ``EventsLib.sol``. Compound v2 names its own tokens, the collateral's and (the contract itself) the debt's, and
counts what it takes in the former. Compound v3 repays by itself, later; Morpho names a market by its id: what they do
not say stays empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import LENDING_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where an event has what: topics by number, words of the data by number after 10; None: it does not say."""

    topics: int
    words: int
    liquidator: int
    taken: int
    repaid: int | None
    collateral: int | None
    debt: int | None
    own: bool = False  # the debt is the contract's own token


_DATA = 10
_LAYOUTS = (
    _Layout(topics=4, words=4, liquidator=12, taken=11, repaid=10, collateral=1, debt=2),
    _Layout(topics=1, words=5, liquidator=10, taken=14, repaid=12, collateral=13, debt=None, own=True),
    _Layout(topics=4, words=2, liquidator=1, taken=10, repaid=None, collateral=3, debt=None),
    _Layout(topics=4, words=5, liquidator=2, taken=12, repaid=10, collateral=None, debt=None),
)


def parse_lending(logs: Logs, rows: NDArray[np.intp], out: Parsed) -> None:
    """Add the liquidations among ``rows`` of ``logs``; what only looks like one is nobody's business."""
    kind = which(logs.topics[rows, 0], LENDING_EVENTS)
    for number, layout in enumerate(_LAYOUTS):
        own = rows[kind == number]
        own = own[(logs.topic_count[own] == layout.topics) & (logs.word_counts()[own] == layout.words)]
        if len(own):
            _add(logs, own, layout, out)


def _add(logs: Logs, rows: NDArray[np.intp], layout: _Layout, out: Parsed) -> None:
    data = logs.words(rows, layout.words)

    def word(place: int) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = data[:, place - _DATA] if place >= _DATA else logs.topics[rows, place]
        return found

    taken, fits = words.unsigned(word(layout.taken), 16)
    told = {"reserve_a": taken, "signer": word(layout.liquidator)[:, 12:]}
    if layout.repaid is not None:
        told["reserve_b"], repaid_fits = words.unsigned(word(layout.repaid), 16)
        fits &= repaid_fits
    for name, place in (("mint_a", layout.collateral), ("mint_b", layout.debt)):
        if place is not None:
            told[name] = word(place)[:, 12:]
    if layout.own:
        told["mint_b"] = logs.address[rows]
    out.liquidations(logs, rows[fits], {name: words.binary(column[fits]) for name, column in told.items()})
