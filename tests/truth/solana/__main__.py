"""``python -m tests.truth.solana [SWAPS]``: the long form, which writes its figures into ``docs/truth.md``.

Exit code 2 when MEVFLOW_PROGRAMS is set and a program is missing, 1 when a swap differs.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.truth.solana.dlmm import RECORDED, swap_pairs
from tests.truth.solana.figures import ProgramFigures
from tests.truth.solana.programs import DLMM, VARIABLE, WHIRLPOOL, Program, Wanted
from tests.truth.solana.whirlpool import swap_whirlpools

DOCUMENT = Path(__file__).parents[3] / "docs" / "truth.md"
BEGIN, END = "<!-- programs: written by make test-truth -->", "<!-- end of programs -->"
TRIES: tuple[tuple[str, Wanted, Callable[[Program, int, int], ProgramFigures]], ...] = (
    ("Whirlpool", WHIRLPOOL, swap_whirlpools),
    ("DLMM", DLMM, swap_pairs),
)


def main(swaps: int) -> int:
    rows, wrong, missing = [], [], []
    for name, wanted, swap in TRIES:
        if (program := wanted.found()) is None:
            missing.append(wanted.missing())
            continue
        if wanted is DLMM and not RECORDED.exists():
            missing.append(f"no {RECORDED.name}: the recorded pair is not beside the repository")
            continue
        figures = swap(program, swaps, 1)
        digest = hashlib.sha256(program.path.read_bytes()).hexdigest()[:16]
        counts = (figures.executed, figures.refused, len(figures.different))
        rows.append(f"| {name} | `{digest}` | {' | '.join(f'{count:,}' for count in counts)} |")
        wrong += figures.different
        print(rows[-1])
        for why, count in sorted(figures.refusals.items(), key=lambda entry: -entry[1]):
            print(f"  refused {count}: {why}")
    print("\n".join([*wrong, *missing]))
    if not missing:
        _write(rows)
    if wrong:
        return 1
    return 2 if missing and os.environ.get(VARIABLE) else 0


def _write(rows: list[str]) -> None:
    head = ["| program | sha256 of its file | swaps equal | refused by both | different |", "|---|---|--:|--:|--:|"]
    text = DOCUMENT.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text("\n".join([before + BEGIN, *head, *rows, END + after]))


sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_500))
