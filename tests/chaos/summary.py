"""A campaign in figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.chaos.run import Outcome


def line(outcome: Outcome) -> str:
    """One run in one line, with how to do it again when it failed."""
    during = sum(one.during_recovery for one in outcome.faults)
    text = (
        f"seed {outcome.seed} ({outcome.kind}): {len(outcome.faults)} faults, {during} during recovery, "
        f"{outcome.seconds:.0f} s"
    )
    if outcome.good:
        return f"{text}: as undisturbed"
    details = "\n  ".join([*([outcome.stalled] if outcome.stalled else []), *outcome.where])
    return (
        f"{text}: FAILED, {outcome.lost} lost, {outcome.doubled} doubled, {outcome.orphans} orphans"
        f" (again: python -m tests.chaos --seed {outcome.seed})\n  {details}"
    )


def totals(runs: list[dict[str, Any]]) -> dict[str, int]:
    """What the campaign counts."""
    faults = [one for run in runs for one in run["faults"]]
    return {
        "runs": len(runs),
        "faults": len(faults),
        "during another's recovery": sum(one["during_recovery"] for one in faults),
        "rows lost": sum(run["lost"] for run in runs),
        "rows doubled": sum(run["doubled"] for run in runs),
        "stalls": sum(bool(run["stalled"]) for run in runs),
        "orphans": sum(run["orphans"] for run in runs),
        "messages sent again (at least once, same id)": sum(run["sent_again"] for run in runs),
        "runs that failed": sum(
            bool(run["lost"] or run["doubled"] or run["stalled"] or run["orphans"]) for run in runs
        ),
    }


def recoveries(runs: list[dict[str, Any]]) -> list[tuple[str, int, float, float]]:
    """(kind, faults, P50, P99 in seconds) of every kind of fault whose recovery was seen."""
    seconds: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for run in runs:
        for one in run["faults"]:
            counts[one["kind"]] = counts.get(one["kind"], 0) + 1
            if one["recovered_s"] is not None:
                seconds.setdefault(one["kind"], []).append(one["recovered_s"])
    return [
        (kind, counts[kind], float(np.percentile(times, 50)), float(np.percentile(times, 99)))
        for kind, times in sorted(seconds.items())
    ]


def summary(runs: list[dict[str, Any]]) -> str:
    """Both, for a terminal."""
    lines = [f"{name}: {count:,}" for name, count in totals(runs).items()]
    lines += [
        f"recovery from {kind} ({count}): P50 {p50:.1f} s, P99 {p99:.1f} s"
        for kind, count, p50, p99 in recoveries(runs)
    ]
    return "\n".join(lines)
