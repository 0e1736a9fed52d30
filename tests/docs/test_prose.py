"""Prose is of lines that fit: ``make wrap`` wraps them."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [path for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md") for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_is_wrapped(page):
    text = page.read_text()
    assert runpy.run_path(str(ROOT / "docs" / "wrap.py"))["wrapped"](text) == text, "make wrap"
