"""Fenced blocks of the documentation, with where they stand and why they are not run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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
    """Every fenced block of README and docs."""
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
