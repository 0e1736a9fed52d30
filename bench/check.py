"""Hold ratios against the recorded ones: ``python -m mevflow.bench.check [RUNS]``. Exit code 1 when one fell.

A machine may be slow for a minute: what is compared is the median of several runs, and only ratios, whose two sides ran
in the same command.
"""

from __future__ import annotations

import importlib
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass

from mevflow.bench.report import TARGET, figures_of, sections

BENCHES_CHECKED = ("pipeline", "detect", "decide")
#: How much of a recorded ratio may be lost.
SLACK = 0.15


@dataclass(frozen=True, slots=True)
class HeldRatio:
    """A figure's ratio as recorded, and the median of the runs."""

    bench: str
    name: str
    recorded: float
    median: float

    @property
    def fell(self) -> bool:
        return self.median < self.recorded * (1 - SLACK)


def check(runs: int) -> list[HeldRatio]:
    """Run each bench ``runs`` times; what has a recorded ratio, in the order of the page."""
    page = sections(TARGET.read_text())
    held = []
    for bench in BENCHES_CHECKED:
        recorded = {name: cells[3] for name, cells in figures_of(page.get(bench, [])).items() if cells[3]}
        ratios: dict[str, list[float]] = defaultdict(list)
        for turn in range(runs):
            print(f"bench {bench}: run {turn + 1} of {runs}", file=sys.stderr, flush=True)
            for figure in importlib.import_module(f"mevflow.bench.{bench}").run()["figures"]:
                if figure["ratio"] is not None:
                    ratios[figure["name"]].append(figure["ratio"])
        held += [
            HeldRatio(bench, name, float(text.replace(",", "")), statistics.median(ratios[name]))
            for name, text in recorded.items()
            if name in ratios
        ]
    return held


def main(runs: int) -> int:
    """Print a line a figure. Gives the exit code."""
    held = check(runs)
    for each in held:
        verdict = "FELL" if each.fell else "holds"
        print(f"{verdict:5}  {each.median:8.2f}  recorded {each.recorded:8.2f}  {each.bench}: {each.name}")
    fell = sum(each.fell for each in held)
    print(f"{len(held) - fell} of {len(held)} ratios hold within {SLACK:.0%}, median of {runs} runs")
    return 1 if fell or not held else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 5))
