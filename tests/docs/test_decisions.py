"""The index of decisions is current, and lists each record once."""

import runpy

from tests.docs.blocks import ROOT

FOLDER = ROOT / "docs" / "decisions"


def test_the_index_is_current():
    made = runpy.run_path(str(FOLDER / "index.py"))["index"]()
    assert (FOLDER / "README.md").read_text() == made, "make decisions"


def test_no_number_is_used_twice():
    numbers = [path.name[:4] for path in FOLDER.glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
