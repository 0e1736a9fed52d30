"""The environment of a child process of ours."""

from __future__ import annotations

import os
from pathlib import Path

import mevflow


def environment() -> dict[str, str]:
    """This process's environment, with ``mevflow`` importable from any working directory."""
    root = str(Path(mevflow.__file__).parents[1])
    path = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root}
