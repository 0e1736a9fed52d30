"""The index of the decisions, from the records themselves.

``make decisions`` writes it; ``tests/docs/test_decisions.py`` checks it. A record says its status and date in the line
under its title, ``*Accepted, 2026-11-23.*``; one without such a line is refused.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
INDEX = FOLDER / "README.md"
HEAD = """\
# Decisions

Short records of choices that a reader would otherwise wonder about: context, choice, what was given up.
Written by `make decisions` from the records; each says its status and date under its title.

| no. | decision | status | date |
|---:|---|---|---|
"""
_STATUS = re.compile(r"^\*(?P<status>[A-Z][^*]*?), (?P<date>\d{4}-\d\d-\d\d)\.\*$", re.MULTILINE)


def index() -> str:
    """The text of the index."""
    rows = []
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        text = path.read_text()
        title = re.sub(r"^#\s*\d+\.?\s*", "", text.splitlines()[0])
        said = _STATUS.search(text)
        if said is None:
            raise SystemExit(f"{path}: no line like *Accepted, 2026-11-23.* under the title")
        rows.append(f"| {int(path.name[:4])} | [{title}]({path.name}) | {said['status']} | {said['date']} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    if "--write" in sys.argv:
        INDEX.write_text(index())
    elif INDEX.read_text() != index():
        sys.exit("docs/decisions/README.md is not current: make decisions")
