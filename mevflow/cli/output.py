"""How commands speak: data on stdout (a table, or JSON with ``--json``), everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add ``--json`` as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def emit_json(value: Any) -> None:
    """One JSON document on one line (so that a stream of them is NDJSON)."""
    click.echo(json.dumps(value, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A plain table on stdout; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    view = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        view.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        view.add_row(
            *(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell) for cell in row)
        )
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(view)


def emit(value: Mapping[str, Any], as_json: bool) -> None:
    """One record: JSON, or ``key  value`` lines."""
    if as_json:
        emit_json(value)
        return
    width = max((len(key) for key in value), default=0)
    for key, item in value.items():
        click.echo(f"{key:<{width}}  {item}")


def note(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True)
