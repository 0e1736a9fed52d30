"""Fenced blocks of the documentation, with where they stand and why they are not run.

A block's language says what is done with it: ``sh`` is run as it stands, ``console`` too, and its answers are compared;
``python`` is run, ``yaml`` and ``toml`` are read; ``text`` is a picture or what something answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


@dataclass(frozen=True)
class Block:
    """``line`` is of the opening fence; ``why_not`` is what ``<!-- not run: … -->`` above it says."""

    page: str
    line: int
    language: str
    text: str
    why_not: str

    @property
    def where(self) -> str:
        """``docs/page.md:12``."""
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """Every fenced block of README, CONTRIBUTING and docs."""
    found: list[Block] = []
    for path in PAGES:
        lines = path.read_text().splitlines()
        start: int | None = None
        for number, line in enumerate(lines):
            if not line.startswith("```"):
                continue
            if start is None:
                start = number
                continue
            marked = _NOT_RUN.fullmatch(lines[start - 1]) if start else None
            found.append(
                Block(
                    str(path.relative_to(ROOT)),
                    start + 1,
                    lines[start][3:].strip(),
                    "\n".join(lines[start + 1 : number]) + "\n",
                    marked[1] if marked else "",
                )
            )
            start = None
    return found


def dialogue(text: str) -> list[tuple[str, str]]:
    """Of a ``console`` block: (command, what it answers). A command goes on over lines that are indented."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif not found[-1][1] and line.startswith("    "):
            found[-1] = (found[-1][0] + line, "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found
