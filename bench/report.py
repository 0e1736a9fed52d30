"""Run every bench; write ``docs/benchmarks.md`` and the README's table. ``python -m bench.report``."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.cli.bench import BENCHES, show

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"

#: What the README quotes: (bench, figure, what it says).
QUOTED = (
    ("pipeline", "decode: messages", "Kafka → columnar decode"),
    ("pipeline", "detect: messages", "Kafka → decode → detection → ClickHouse (opportunities)"),
    ("pipeline", "archive: messages", "Kafka → decode → ClickHouse (every swap, all columns)"),
    ("pipeline", "everything: messages", "all of it: detection, decisions, every swap stored"),
    ("clickhouse", "10-column rows through the sink", "rows through the ClickHouse sink over HTTP"),
    ("websocket", "100 clients, a filter each", "messages delivered to 100 WebSocket clients, a filter each"),
    ("detect", "5,000 pools, 3 legs, screened", "events screened on one core, 5,000 pools, 3 legs"),
    ("detect", "5,000 pools, 3 legs, sized and emitted", "the same with 1 % survivors sized, quoted exactly, emitted"),
    ("latency", "send to decision, P99", "event sent to decision received at 50,000 messages/s, P99"),
)


def main() -> None:
    """Print each bench as it ends; the page is replaced when all have."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; the numbers are of one run on one machine. Ratios compare with something that",
        "ran in the same command, which is what carries over to other machines.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}.",
    ]
    figures: dict[str, list[dict[str, Any]]] = {}
    for name, text in BENCHES.items():
        print(f"bench {name}: {text}", file=sys.stderr, flush=True)
        outcome = importlib.import_module(f"bench.{name}").run()
        show(outcome)
        lines += [
            "",
            f"## {name}",
            "",
            f"{text[0].upper()}{text[1:]}.",
            "",
            "| figure | value | unit | against | ratio |",
        ]
        lines += ["|---|---:|---|---|---:|"]
        for figure in outcome["figures"]:
            value = f"{figure['value']:,.3g}" if figure["value"] < 1000 else f"{figure['value']:,.0f}"
            ratio = "" if figure["ratio"] is None else f"{figure['ratio']:.2f}"
            lines.append(f"| {figure['name']} | {value} | {figure['unit']} | {figure['against'] or ''} | {ratio} |")
        figures[name] = outcome["figures"]
    TARGET.write_text("\n".join(lines) + "\n")
    quote(figures)


def quote(figures: dict[str, list[dict[str, Any]]]) -> None:
    """Replace the README's table by these figures."""
    rows = ["| what | figure | beside |", "|---|---:|---|"]
    for bench, name, text in QUOTED:
        figure = next(each for each in figures[bench] if each["name"] == name)
        beside = "" if figure["ratio"] is None else f"{figure['ratio']:.2f} × {figure['against']}"
        rows.append(f"| {text} | {figure['value']:,.0f} {figure['unit']} | {beside} |")
    text = README.read_text()
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(head + "\n" + "\n".join(rows) + "\n" + tail)


if __name__ == "__main__":
    main()
