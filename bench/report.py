"""Run every bench and write ``docs/benchmarks.md`` from what they gave. ``python -m bench.report``."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from flows.cli.bench import BENCHES, show

TARGET = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


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
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
