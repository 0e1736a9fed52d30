"""Recorded results and pool states in tests/data, and where results under other licences lie."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"
#: Beside the repository, where it is there at all.
SHARED = Path(__file__).parents[4] / "shared" / "data"

NOT_AT_HAND = "results under other licences are not beside the repository (tests/data/PROVENANCE.md)"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason=NOT_AT_HAND)


def degenbot(name: str) -> dict[str, Any]:
    """One recorded file by its name without ``.json.gz``."""
    with gzip.open(DATA / "degenbot" / f"{name}.json.gz", "rt") as file:
        found: dict[str, Any] = json.load(file)
    return found


def results(name: str) -> list[tuple[list[str], int | None]]:
    """(the parts of the key, the value or None where the call reverted) of every recorded call."""
    return [(key.split("|"), entry.get("value")) for key, entry in degenbot(name)["entries"].items()]


def coins(key: str, symbols: list[str]) -> tuple[int, int]:
    """``"DAI->USDC"`` as the numbers of its coins."""
    given, wanted = key.split("->")
    return symbols.index(given), symbols.index(wanted)
