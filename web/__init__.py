"""The dashboard: sources (``src/``), what builds them (:mod:`.build`) and what is built (``dist/``, never committed).

The gateway serves ``dist/`` at ``/`` (:mod:`mevflow.control.gateway.door.pages`); the wheel ships it.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
DIST = FOLDER / "dist"


def built() -> bool:
    """Whether there is something to serve."""
    return (DIST / "index.html").is_file()
