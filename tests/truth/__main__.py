"""``python -m tests.truth [BLOCKS]``: the long form, which writes its figures into ``docs/truth.md``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.truth.execution import WORLDS, watch

DOCUMENT = Path(__file__).parents[2] / "docs" / "truth.md"
BEGIN, END = "<!-- figures: written by make test-truth -->", "<!-- end of figures -->"


def main(blocks: int) -> int:
    rows, wrong = [], []
    for seed, fees in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            figures = watch(seed, fees, blocks, Path(folder))
        counts = (figures.states, figures.quotes, figures.executed, figures.legs, len(figures.different))
        rows.append(f"| {', '.join(map(str, fees))} | {' | '.join(f'{count:,}' for count in counts)} |")
        wrong += figures.different
        print(rows[-1], flush=True)
    head = [
        "| fee tiers (pips) | states | quotes | opportunities executed | legs | different |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    text = DOCUMENT.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text("\n".join([before + BEGIN, *head, *rows, END + after]))
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
