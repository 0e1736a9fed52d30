"""Prose of at most 120 characters a line: ``python docs/wrap.py`` names longer ones, ``--write`` wraps them.

Tables, headings and fenced blocks stay as they are; a paragraph or list item is wrapped only when a line is too long.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

WIDTH = 120
ROOT = Path(__file__).parents[1]
_KEPT = re.compile(r"\s*(\||#|```|<|!\[)|\s*$")
_ITEM = re.compile(r"(\s*)([-*]|\d+\.)\s+")


def wrapped(text: str) -> str:
    """The page with long paragraphs wrapped."""
    out: list[str] = []
    block: list[str] = []
    fenced = False

    def flush() -> None:
        if any(len(line) > WIDTH for line in block):
            item = _ITEM.match(block[0])
            indent = " " * (item.end() if item else len(block[0]) - len(block[0].lstrip()))
            words = " ".join(line.strip() for line in block)
            first = item[0] if item else indent
            out.extend(
                textwrap.wrap(
                    words[len(item[0].strip()) :].lstrip() if item else words,
                    WIDTH,
                    initial_indent=first,
                    subsequent_indent=indent,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        else:
            out.extend(block)
        block.clear()

    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            flush()
            fenced = not fenced
            out.append(line)
        elif fenced or _KEPT.match(line):
            flush()
            out.append(line)
        else:
            if _ITEM.match(line):
                flush()
            block.append(line)
    flush()
    return "\n".join(out)


def main() -> int:
    """Check or wrap every page; the exit code."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "proto").glob("*.md")]
    late = [page for page in sorted(pages) if wrapped(page.read_text()) != page.read_text()]
    for page in late:
        if "--write" in sys.argv:
            page.write_text(wrapped(page.read_text()))
        else:
            print(f"{page.relative_to(ROOT)}: prose longer than {WIDTH} characters a line", file=sys.stderr)
    return 1 if late and "--write" not in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
