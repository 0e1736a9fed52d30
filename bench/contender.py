"""A contender of a bench: a process of its own that does the job and tells of it, a line of JSON a pass."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence

import msgspec

from mevflow.bench.stand import ROOT
from mevflow.processes.environment import environment

#: A contender that has told nothing by then is ended.
_PATIENCE_S = 180.0


class Told(msgspec.Struct, frozen=True):
    """What one pass came to: seconds from its first message to its last, the rows that it made, its CPU's seconds."""

    messages: int
    seconds: float
    rows: int | None = None
    cpu_s: float | None = None

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def contend(name: str, command: Sequence[str], passes: int = 1) -> list[Told]:
    """Run ``command``; what its last lines tell. Raises RuntimeError when it tells too little, or not in time."""
    running = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        told, complaint = running.communicate(timeout=_PATIENCE_S)
        how = f"ended with code {running.returncode}"
    except subprocess.TimeoutExpired:
        running.kill()
        told, complaint = running.communicate()
        how = f"was ended after {_PATIENCE_S:g} s"
    lines = told.splitlines()[-passes:]
    try:
        outcome = [msgspec.json.decode(line, type=Told) for line in lines]
    except msgspec.DecodeError:
        outcome = []
    if len(outcome) < passes:
        raise RuntimeError(f"{name} {how} and told no figure:\n{complaint[-2000:]}")
    return outcome


def children_cpu_s() -> float:
    """Seconds of the processor that the processes used that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
