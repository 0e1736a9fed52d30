"""Runs entries over damaged inputs: what they may not do is raise anything else, take long, or hold memory."""

from __future__ import annotations

import random
import resource
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.fuzz.entries import Entry

#: No single input may keep a process for so long.
SLOW_S = 1.0
#: What a process may grow by over one entry.
_GROWTH_MB = 400
_MOST_FAILURES = 3


@dataclass
class Found:
    """What became of an entry's inputs. A failure names the input in hex."""

    name: str
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    grown_mb: int = 0
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(entry: Entry, inputs: int, seed: int) -> Found:
    """Give ``entry`` so many inputs, after its seeds as they are: what the first use compiles is no input's time."""
    rng, found = random.Random(f"{entry.name} {seed}"), Found(entry.name)
    entry.run(list(entry.seeds))
    before, began = _peak_mb(), time.monotonic()
    while found.inputs < inputs and len(found.failures) < _MOST_FAILURES:
        values = [entry.damage(rng, entry.seeds) for _ in range(min(entry.batch, inputs - found.inputs))]
        found.inputs += len(values)
        _give(entry, values, found)
    found.seconds = round(time.monotonic() - began, 2)
    found.grown_mb = _peak_mb() - before
    if found.grown_mb > _GROWTH_MB:
        found.failures.append(f"grew by {found.grown_mb} MB")
    return found


def _give(entry: Entry, values: list[bytes], found: Found) -> None:
    began = time.process_time()
    try:
        found.refused += entry.run(values)
    except BaseException as error:  # a panic of native code is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        if len(values) > 1:
            for half in (values[: len(values) // 2], values[len(values) // 2 :]):
                _give(entry, half, found)
            return
        found.failures.append(f"{type(error).__name__}: {str(error)[:200]} for {values[0][:400].hex()}")
    taken = time.process_time() - began
    found.slowest_s = round(max(found.slowest_s, taken / len(values)), 4)
    if taken > SLOW_S * max(1, len(values) / 100):
        found.failures.append(f"{taken:.1f} s for {len(values)} inputs, the first {values[0][:400].hex()}")


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
