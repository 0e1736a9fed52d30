"""``make fuzz``: damaged inputs to every place where strangers' bytes come in. Writes docs/reliability.md."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.entries import entries
from tests.fuzz.run import run
from tests.reliability import keep


def main() -> int:
    """Exit code 1 when an entry failed."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2_400_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="entries whose name holds this")
    options = parser.parse_args()
    chosen = [entry for entry in entries() if options.only in entry.name]
    whole = sum(entry.share for entry in chosen)
    found = []
    for entry in chosen:
        one = run(entry, int(options.inputs * entry.share / whole) + 1, options.seed)
        found.append(one)
        print(
            f"{one.name}: {one.inputs:,} inputs, {one.refused:,} refused, {one.seconds:.1f} s, slowest "
            f"{one.slowest_s} s, +{one.grown_mb} MB; {'; '.join(one.failures) or 'no failure'}",
            flush=True,
        )
    print(f"{sum(one.inputs for one in found):,} inputs, {sum(len(one.failures) for one in found)} failures")
    if not options.only:
        keep("fuzz", {"entries": [one.as_json() for one in found]})
    return 1 if any(one.failures for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
