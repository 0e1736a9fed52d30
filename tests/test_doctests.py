"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import os
from pathlib import Path

import pytest

import mevflow

PACKAGE = Path(mevflow.__file__).parent


def modules() -> list[str]:
    """Names of the modules that show an example."""
    found = []
    for folder, folders, files in os.walk(PACKAGE, followlinks=True):
        folders[:] = [name for name in folders if name not in ("examples", "__pycache__")]
        for name in files:
            path = Path(folder, name)
            if path.suffix == ".py" and ">>> " in path.read_text():
                found.append(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    return sorted(found)


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    # An example that is skipped needs a running service; its page in docs/ says which test makes the same calls.
    assert tried or "+SKIP" in (module.__doc__ or "")
    assert not failed


def test_there_are_examples() -> None:
    assert len(modules()) >= 10
