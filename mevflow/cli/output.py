"""How commands speak: data on stdout (a table, or JSON with ``--json``), everything else on stderr."""

from __future__ import annotations

import csv
import json
import math
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
    click.echo(json.dumps(_with_nulls(value), default=str))


def _with_nulls(value: Any) -> Any:
    """The same with null for numbers that are none: JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _with_nulls(inner) for key, inner in value.items()}
    return [_with_nulls(inner) for inner in value] if isinstance(value, list | tuple) else value


def csv_option(command: Command) -> Command:
    """Add ``--csv`` as the parameter ``as_csv``."""
    return click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a line of names.")(command)


def emit_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as CSV on stdout, names first."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A plain table on stdout, numbers to the right; one value a line where the terminal is too narrow for it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    view = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    rows = [list(row) for row in rows]
    needed = _width(columns, rows)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else max(needed, 160))
    if rows and needed > console.width:
        _vertical(columns, rows, title)
        return
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        view.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        view.add_row(*map(_text, row))
    with console.capture() as drawn:  # rich itself ends the process with 1 when the reader has left
        console.print(view)
    click.echo(drawn.get(), nl=False)


def _text(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _width(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Characters that a line of the table has when no cell is folded."""
    widest = [max(len(str(name)), *(len(_text(row[at])) for row in rows), 0) for at, name in enumerate(columns)]
    return sum(widest) + 3 * len(columns) + 1


def _vertical(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
    """One value a line, a record after the other."""
    if title:
        click.echo(title)
    width = max(len(str(name)) for name in columns)
    for number, row in enumerate(rows, start=1):
        click.echo(f"-- {number} of {len(rows)}")
        for name, cell in zip(columns, row, strict=True):
            click.echo(f"{name!s:<{width}}  {_text(cell)}")


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
