"""Run every bench; write ``docs/benchmarks.md``, the README's table: ``python -m mevflow.bench.report [NAME ...]``."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mevflow.bench import BENCHES
from mevflow.bench.figures import show

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
_HEAD = (
    "# Benchmarks",
    "",
    "Written by `make bench`; the numbers are of one run on one machine. Ratios compare with something that",
    "ran in the same command, which is what carries over to other machines.",
)
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"

#: What the README quotes: (bench, figure, what it says).
QUOTED = (
    ("pipeline", "decode: messages", "Kafka → columnar decode"),
    ("pipeline", "detect: messages", "Kafka → decode → detection → ClickHouse (opportunities)"),
    ("pipeline", "archive: messages", "Kafka → decode → ClickHouse (every swap, all columns)"),
    ("pipeline", "everything: messages", "all of it: detection, decisions, every swap stored"),
    ("peers", "ours, 3 legs", "detection once more, in one run with Flink and Kafka Streams"),
    ("peers", "Flink keyed by pair, warm", "Flink keyed by pair, gaps of two pools only"),
    ("peers", "Flink in one task, warm", "Flink in one task that keys nothing, gaps of two pools only"),
    ("peers", "Kafka Streams repartitioned by pair, warm", "Kafka Streams by pair, gaps of two pools only"),
    ("clickhouse", "10-column rows through the sink", "rows through the ClickHouse sink over HTTP"),
    ("websocket", "100 clients, a filter each", "messages delivered to 100 WebSocket clients, a filter each"),
    ("detect", "5,000 pools, 3 legs, screened", "events screened on one core, 5,000 pools, 3 legs"),
    ("detect", "5,000 pools, 3 legs, sized and emitted", "the same with 1 % survivors sized, quoted exactly, emitted"),
    (
        "latency",
        "profile latency, 50,000/s: send to decision, P99",
        "event sent to decision received at 50,000 messages/s, P99",
    ),
)


def main(names: list[str]) -> None:
    """Print each bench as it ends, and put its section in its place; the others stay."""
    page = sections(TARGET.read_text()) if TARGET.exists() else {}
    for name in names or BENCHES:
        print(f"bench {name}: {BENCHES[name]}", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        outcome = importlib.import_module(f"mevflow.bench.{name}").run()
        show(outcome)
        page[name] = _section(name, outcome["figures"], load)
    TARGET.write_text("\n".join([*_HEAD, *(line for name in BENCHES for line in page.get(name, []))]) + "\n")
    quote({name: figures_of(lines) for name, lines in page.items()})


def _section(name: str, figures: list[dict[str, Any]], load: float) -> list[str]:
    """The bench's part of the page; ``load`` is what the machine had to do before it, in runnable threads."""
    text = BENCHES[name]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if load >= 1:
        machine += f", beside other work (load {load:.0f})"
    lines = [
        "",
        f"## {name}",
        "",
        f"{text[0].upper()}{text[1:]}. {datetime.now(UTC):%Y-%m-%d}, {machine}.",
        "",
        "| figure | value | unit | against | ratio |",
        "|---|---:|---|---|---:|",
    ]
    for figure in figures:
        value = f"{figure['value']:,.3g}" if figure["value"] < 1000 else f"{figure['value']:,.0f}"
        ratio = "" if figure["ratio"] is None else f"{figure['ratio']:,.2f}"
        lines.append(f"| {figure['name']} | {value} | {figure['unit']} | {figure['against'] or ''} | {ratio} |")
    return lines


def sections(page: str) -> dict[str, list[str]]:
    """The sections of a page that was written before, by bench."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in page.splitlines():
        if line.startswith("## "):
            lines = found[line[3:]] = [""]
        lines.append(line)
    for lines in found.values():
        while not lines[-1]:
            lines.pop()
    return found


def figures_of(section: list[str]) -> dict[str, list[str]]:
    """Value, unit, peer and ratio as they are shown, by figure."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


def quote(figures: dict[str, dict[str, list[str]]]) -> None:
    """Replace the README's table by these figures."""
    rows = ["| what | figure | beside |", "|---|---:|---|"]
    for bench, name, text in QUOTED:
        if name in figures.get(bench, {}):
            value, unit, against, ratio = figures[bench][name]
            rows.append(f"| {text} | {value} {unit} | {f'{ratio} × {against}' if ratio else ''} |")
    text = README.read_text()
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(head + "\n" + "\n".join(rows) + "\n" + tail)


if __name__ == "__main__":
    main(sys.argv[1:])
