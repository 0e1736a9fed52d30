"""Query templates: ``NAME.sql`` beside this file.

A template's leading comment lines say what it answers; ``-- default NAME VALUE`` lines give its parameters a
value, which a caller may override.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from mevflow.operators.errors import UsageError

FOLDER = Path(__file__).parent
_DEFAULT = re.compile(r"-- default (\w+) ?(.*)")


@dataclass(frozen=True, slots=True)
class Template:
    """A named query, what it answers, and its parameters' defaults (as text)."""

    name: str
    summary: str
    sql: str
    defaults: dict[str, str] = field(default_factory=dict)


def names() -> list[str]:
    """All templates."""
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def load(name: str) -> Template:
    """The template ``name``. Raises UsageError when there is none."""
    if name not in names():
        raise UsageError(f"there is no query template {name!r}", hint=f"one of {', '.join(names())}", key="query")
    text = (FOLDER / f"{name}.sql").read_text()
    comments = [line for line in text.splitlines() if line.startswith("--")]
    summary = " ".join(line[2:].strip() for line in comments if not _DEFAULT.match(line))
    defaults = {found[1]: found[2].strip() for found in map(_DEFAULT.match, comments) if found}
    sql = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip().rstrip(";")
    return Template(name, summary, sql, defaults)
