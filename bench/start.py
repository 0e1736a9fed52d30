"""What one waits for: a shard's process until its first message, and commands that only look; with warm caches.

A shard loads Python, the parts of its topology and their compiled code, opens its recovery store, and reads its topics.
Each figure is the median of some rounds after one that warms the caches. CPU is of the whole process: of a shard its
8,000 messages and its end too, which are little beside its start.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from mevflow.bench.contender import children_cpu_s
from mevflow.bench.pipeline import bounds, fill, topology_text
from mevflow.bench.stand import stand
from mevflow.processes.environment import environment

ROUNDS = 5
MESSAGES = 8_000
#: Seconds.
SHARD_AIM, COMMAND_AIM = 2.0, 0.2
COMMANDS = (("--help",), ("status",))


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of a shard that detects and of short commands, and the processor's seconds in them."""
    with stand() as place:
        fill(place, MESSAGES)
        limits = bounds(place)

        def shard(number: int) -> float:
            text = topology_text(place, f"start-{number}", "detect", limits)
            began = time.time()
            first: float = place.run_topology(f"start-{number}", text)["first_row_s"]
            return first - began

        figures = _figures("a shard's process to its first message", shard, SHARD_AIM, rounds)
    with tempfile.TemporaryDirectory() as folder:
        for words in COMMANDS:

            def command(number: int, words: tuple[str, ...] = words) -> float:
                began = time.perf_counter()
                told = [sys.executable, "-m", "mevflow.cli", *words]
                subprocess.run(told, cwd=folder, env=environment(), capture_output=True, check=True)
                return time.perf_counter() - began

            figures += _figures(f"mevflow {' '.join(words)}", command, COMMAND_AIM, rounds)
    return {"bench": "start", "figures": figures}


def _figures(name: str, take: Callable[[int], float], aim_s: float, rounds: int) -> list[dict[str, Any]]:
    """The median of ``take(round)``, in seconds, and of the CPU of the processes that it waited for."""
    took, used = [], []
    for number in range(rounds + 1):
        before = children_cpu_s()
        took.append(take(number))
        used.append(children_cpu_s() - before)
    seconds, whole = median(took[1:]), f"{name}: CPU of the whole process"
    return [
        {"name": name, "value": seconds, "unit": "s", "against": f"aim: {aim_s:g} s", "ratio": seconds / aim_s},
        {"name": whole, "value": median(used[1:]), "unit": "s", "against": None, "ratio": None},
    ]
