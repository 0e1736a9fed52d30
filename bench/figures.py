"""A bench's figures as a table on standard output."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def show(outcome: dict[str, Any]) -> None:
    """Print what a bench's ``run`` gave: one figure a row, its ratio last."""
    view = Table(title=outcome["bench"], box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("figure", "value", "unit", "against", "ratio"):
        view.add_column(column, justify="right" if column in ("value", "ratio") else "left", overflow="fold")
    for figure in outcome["figures"]:
        value, ratio = figure["value"], figure["ratio"]
        view.add_row(
            figure["name"],
            f"{value:,.3g}" if value < 1000 else f"{value:,.0f}",
            figure["unit"],
            figure["against"] or "",
            "" if ratio is None else f"{ratio:.2f}",
        )
    Console(width=None if Console().is_terminal else 160).print(view)
