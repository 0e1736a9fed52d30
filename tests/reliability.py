"""Writes docs/reliability.md from what the campaigns have measured: ``python -m tests.reliability``.

Each campaign keeps its figures in ``docs/reliability/NAME.json`` with when and on what machine they were taken.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "reliability"


def keep(name: str, figures: dict[str, Any]) -> None:
    """Keep one campaign's figures, and write the page anew."""
    RESULTS.mkdir(exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=DOCS, capture_output=True, text=True)
    taken = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[1], 1),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps({"taken": taken, **figures}, indent=1) + "\n")
    write()


def write() -> None:
    """The page from every campaign that was kept."""
    parts = [_HEAD]
    for name, section in (("chaos", _chaos), ("fuzz", _fuzz), ("soak", _soak), ("peers", _peers)):
        path = RESULTS / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text())
            taken = found["taken"]
            load = f", with a load of {taken['load']} over five minutes" if "load" in taken else ""
            where = f"on {taken['cores']} cores{load}"
            parts += [*section(found), f"Taken {taken['when']} at {taken['commit']} {where}.", ""]
    (DOCS / "reliability.md").write_text("\n".join(parts))


def _chaos(found: dict[str, Any]) -> list[str]:
    from tests.chaos.summary import recoveries, totals

    runs = found["runs"]
    lines = [_CHAOS, "| what | count |", "|---|---|"]
    lines += [f"| {name} | {count:,} |" for name, count in totals(runs).items()]
    lines += ["", _bar(totals(runs)), "", _RECOVERY, "| fault | struck | P50 | P99 |", "|---|---|---|---|"]
    lines += [f"| {kind} | {count} | {p50:.1f} s | {p99:.1f} s |" for kind, count, p50, p99 in recoveries(runs)]
    return [*lines, ""]


def _bar(counts: dict[str, int]) -> str:
    """Whether the campaign was as large as it is to be before a release."""
    short = [f"{counts[what]:,} of {least:,} {what}" for what, least in _BAR.items() if counts[what] < least]
    return f"Of the bar not reached: {', '.join(short)}." if short else "The bar for its size is reached."


def _fuzz(found: dict[str, Any]) -> list[str]:
    lines = [_FUZZ, "| entry | inputs | inputs/s | refused | slowest |", "|---|---|---|---|---|"]
    lines += [
        f"| {one['name']} | {one['inputs']:,} | {one['inputs'] / max(one['seconds'], 1e-9):,.0f} | "
        f"{one['refused'] / max(one['inputs'], 1):.0%} | {1000 * one['slowest_s']:.0f} ms |"
        for one in found["entries"]
    ]
    lines += [f"| all | {sum(one['inputs'] for one in found['entries']):,} | | | |", ""]
    failures = [f"{one['name']}: {failure}" for one in found["entries"] for failure in one["failures"]]
    return [*lines, f"Failures: {'; '.join(failures) or 'none'}.", ""]


def _soak(found: dict[str, Any]) -> list[str]:
    lines = [_SOAK, "| what | measured |", "|---|---|"]
    return [*lines, *(f"| {name} | {value} |" for name, value in found["figures"].items()), ""]


def _peers(found: dict[str, Any]) -> list[str]:
    counts = found["counts"]
    lines = [_PEERS, f"Of clickhouse-connect at {found['suite']}: {counts.get('passed', 0):,} passed, "]
    lines[-1] += f"{counts.get('failed', 0)} failed, {counts.get('skipped', 0)} skipped."
    lines += ["", "| failed | why |", "|---|---|"]
    lines += [f"| {count} | {why} |" for why, count in found["reasons"].items()]
    return [*lines, "", f"By nothing explained: {', '.join(found['unexplained']) or 'none'}.", ""]


_BAR = {"runs": 100, "faults": 500, "during another's recovery": 150}
_HEAD = """\
# What holds under attack, measured

Written by `python -m tests.reliability` from the figures that `make chaos`, `make fuzz`, `make soak` and `make peers`
keep in `docs/reliability/`. `make test` has a short form of the fuzzing (`tests/fuzz/test_short.py`) and models of the
sink's and the claims' rules (`tests/model`). A campaign without a section below has no figures kept yet: it is to be
run on a machine that does nothing else.
"""
_CHAOS = """\
## Faults: `make chaos`

A real broker, the embedded ClickHouse, a hub and deployed shards; two chains round a month's end with odd records
mixed in; a schedule of faults that a seed decides: singly, in overlapping pairs and in bursts. After each run every
table (all columns but `ingest_*` and the topic's incarnation), every view and every output topic (by message) is held
against an undisturbed run. Faults are `kill -9` and SIGSTOP of shard, supervisor, ClickHouse, broker and hub, full
disks, commands at once, drain, rolling restart, rescale, and partitions that are added.
`python -m tests.chaos --seed N` does one run again.
Not part of it: network cuts between hosts, clock jumps, the control service.

Of six runs of seed 2, one left ten dead letters, one block, twice in the table `dead_letters`. A way to exactly that is
mended: a sink that started gave up waiting for its predecessor's INSERT after ten seconds, on a machine that was loaded
eightfold (`test_an_insert_that_had_passed_the_fence_is_waited_for_however_slow_it_is`). That it was the way is not
shown, for the run did not say who had stored the rows; a run that fails says so now.
"""
_RECOVERY = """\
Recovery is the time from the strike, less what the fault held on purpose, to the first status at which every shard
runs and has read all that was sent. Faults that strike during another's recovery are counted until all is well.
"""
_FUZZ = """\
## Inputs: `make fuzz`

Valid inputs that are mutated (bits, bytes, lengths, splices, digits) and random ones, from a seed. An entry may refuse
an input by its documented error and do nothing else: any other exception, an input that takes longer than a second or
memory that grows is a failure.
"""
_SOAK = """\
## Time: `make soak`

A steady stream of swaps with a tenfold burst and a flood of garbage in the middle. Memory is that of the shard after
its warm-up, with the slope of a regression.
"""
_PEERS = """\
## A peer's suite: `make peers SUITE=DIR`

clickhouse-connect's own integration tests against the embedded ClickHouse; those of TLS, proxies and JWT are left out.
`DIR` is a checkout of that project.
"""

if __name__ == "__main__":
    write()
