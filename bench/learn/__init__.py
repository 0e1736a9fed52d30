"""Learning: every bar beside its peers in the same run.

- :mod:`.segments`: reward on ImageSegments, beside river, MABWiser and Vowpal Wabbit
- :mod:`.regret`: regret on Bernoulli arms that stay and that move
- :mod:`.speed`: decisions a CPU second
- :mod:`.exactness`: the quadrature's error, and draws against their propensities
- :mod:`.evaluation`: Open Bandit Data, and intervals under many looks
- :mod:`.auctions`: sealed-bid auctions with known rivals, beside an oracle, LinUCB and VW CATS
- :mod:`.models`: river models: cost of a score, promotions of equals and of betters

Peers beyond river come with ``pip install mevflow[bench]``; what is not installed is left out.
"""

from __future__ import annotations

import importlib
from typing import Any

_PARTS = ("exactness", "regret", "segments", "speed", "auctions", "evaluation", "models")


def run() -> dict[str, Any]:
    """All figures; a ratio of 1 or more reaches its bar."""
    figures = [each for part in _PARTS for each in importlib.import_module(f"mevflow.bench.learn.{part}").figures()]
    return {"bench": "learn", "figures": figures}
