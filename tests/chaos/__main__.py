"""The campaign: ``make chaos`` (``RUNS``, ``FAULTS``, ``SEED``). Writes docs/reliability.md.

A run is told by its seed alone: ``python -m tests.chaos --seed N`` does it again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.answer import Answer
from tests.chaos.faults import no_hub
from tests.chaos.place import Place
from tests.chaos.run import Outcome, disturbed, undisturbed
from tests.chaos.summary import line, summary
from tests.reliability import RESULTS, keep

#: So many streams a topology: a run's seed says which.
_STREAMS = 2


def main() -> int:
    """Exit code 1 when a run failed."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--faults", type=int, default=8, help="a run, beside those that belong to its topology")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no run after so long")
    parser.add_argument("--seed", type=int, help="do this one run again")
    parser.add_argument("--first", type=int, default=1, help="the first run's seed")
    parser.add_argument("--more", action="store_true", help="add to what is kept instead of replacing it")
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order: the services are taken down
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.runs)
    former = json.loads((RESULTS / "chaos.json").read_text())["runs"] if options.more else []
    outcomes: list[Outcome] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mevflow-chaos-") as name:
        place = Place(Path(name))
        answers: dict[tuple[str, int], Answer] = {}
        try:
            place.open()
            with no_hub(place.hub_port):
                for seed in seeds:
                    if options.minutes and time.monotonic() - began > 60 * options.minutes:
                        break
                    outcomes.append(_run(place, seed, options.faults, answers))
                    print(line(outcomes[-1]), flush=True)
                    if options.seed is None and not options.dry:
                        keep("chaos", {"runs": former + [outcome.as_json() for outcome in outcomes]})
        finally:
            place.close()
    print(summary(former + [outcome.as_json() for outcome in outcomes]))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _run(place: Place, seed: int, faults: int, answers: dict[tuple[str, int], Answer]) -> Outcome:
    kind, stream_seed = ("hunt", "keep")[seed % 2], seed // 2 % _STREAMS
    if (kind, stream_seed) not in answers:
        answers[kind, stream_seed] = undisturbed(place, kind, stream_seed)
    return disturbed(place, kind, stream_seed, seed, faults, answers[kind, stream_seed])


if __name__ == "__main__":
    sys.exit(main())
