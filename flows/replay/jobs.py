"""Replays in the background: start one, see them all, end one.

A replay that was started here is the command ``mevflow replay run`` in a process of its own. What is known of it lies
beside its folder, which each run makes anew.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from mevflow.flows.replay.plan import Plan
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.status import shard_status, source_rows
from mevflow.flows.times import iso
from mevflow.operators.errors import UsageError
from mevflow.processes.background import ProcessId
from mevflow.processes.jobs import last_words, one_at_a_time, reap, start_job
from mevflow.processes.private import private_folder, write_private

#: Background replays of one folder at once.
MAX_RUNNING = 2
_CANCEL_S = 20.0


class ReplayJob(msgspec.Struct, frozen=True):
    """What was asked, and the process (pid, start) that does it."""

    topology: str
    run_id: str
    began_us: int
    messages: int
    from_us: int | None
    to_us: int | None
    process: tuple[int, int]
    cancelled: bool = False

    @property
    def alive(self) -> bool:
        return ProcessId(*self.process).alive


def start(plan: Plan, file: Path, var: Path, options: list[str], *, replace: bool = False) -> ReplayJob:
    """Run a plan in the background. ``options``: further ones of the command line.

    Raises UsageError when the run exists (unless ``replace``), when it runs, or when too many run.
    """
    with one_at_a_time(var / "replay.lock"):
        return _start(plan, file, var, options, replace)


def _start(plan: Plan, file: Path, var: Path, options: list[str], replace: bool) -> ReplayJob:
    layout = Layout.replay(var, plan.topology, plan.run_id)
    running = [each for each in _jobs(var) if each.alive]
    if any((each.topology, each.run_id) == (plan.topology, plan.run_id) for each in running):
        raise UsageError(f"run {plan.run_id} of {plan.topology} is being replayed", key="run_id")
    if layout.root.exists() and not replace:
        raise UsageError(
            f"{plan.topology} has a run {plan.run_id!r} already: choose another id, or say replace", key="run_id"
        )
    if len(running) >= MAX_RUNNING:
        raise UsageError(f"{MAX_RUNNING} replays run already: wait for one, or cancel it", key="run_id")
    record = _record(layout)
    private_folder(record.parent)
    words = ["replay", "run", plan.topology, "--run-id", plan.run_id]
    words += ["--file", str(file.absolute()), "--json", *options]
    found = start_job(words, var, record.with_suffix(".log"))
    job = ReplayJob(
        topology=plan.topology,
        run_id=plan.run_id,
        began_us=time.time_ns() // 1000,
        messages=plan.messages,
        from_us=plan.from_us,
        to_us=plan.to_us,
        process=(found.pid, found.started),
    )
    write_private(record, msgspec.json.encode(job))
    return job


def window_options(from_us: int | None, to_us: int | None) -> list[str]:
    """A window in chain time as options of the command line."""
    given = (("--from", from_us), ("--to", to_us))
    return [word for name, us in given if us is not None for word in (name, iso(us))]


def cancel(var: Path, topology: str, run_id: str) -> ReplayJob:
    """End a replay in order. Raises UsageError when it does not run here."""
    record = _record(Layout.replay(var, topology, run_id))
    job = _read(record)
    if job is None or not job.alive:
        raise UsageError(f"no run {run_id!r} of {topology} is under way in the background", hint="mevflow replay")
    write_private(record, msgspec.json.encode(msgspec.structs.replace(job, cancelled=True)))
    process = ProcessId(*job.process)
    process.signal(signal.SIGINT)
    if not process.wait(_CANCEL_S):
        process.end(5.0)
    reap()
    return job


def runs(var: Path) -> list[dict[str, Any]]:
    """Every replay that left something, those of the command line too, newest first.

    ``state``: running, done, cancelled or failed. ``done``: messages read so far of ``messages``.
    """
    reap()
    jobs = {(each.topology, each.run_id): each for each in _jobs(var)}
    keys = set(jobs) | {(path.parent.parent.name, path.parent.name) for path in (var / "replay").glob("*/*/spec.json")}
    rows = [_row(Layout.replay(var, *key), *key, jobs.get(key)) for key in keys]
    return sorted(rows, key=lambda row: row["began_us"], reverse=True)


def _row(layout: Layout, topology: str, run_id: str, job: ReplayJob | None) -> dict[str, Any]:
    said = shard_status(layout, 0)
    spec = RunSpec.load(layout.spec).replay if layout.spec.exists() else None
    total = 0 if spec is None else sum(sum(b.stop.values()) - sum(b.start.values()) for b in spec.bounds.values())
    began_us = job.began_us if job else int(layout.spec.stat().st_mtime * 1e6)
    state = _state(said, job)
    error = ""
    if state == "failed":
        error = str(said.get("error", "") or (last_words(_record(layout).with_suffix(".log")) if job else ""))
    return {
        "topology": topology,
        "run_id": run_id,
        "state": state,
        "began_us": began_us,
        "from_us": job.from_us if job else spec.from_us if spec else None,
        "to_us": job.to_us if job else spec.to_us if spec else None,
        "messages": job.messages if job else total,
        "done": source_rows(said) if said else 0,
        "error": error,
        "results": _results(layout) if state == "done" else [],
    }


def _results(layout: Layout) -> list[dict[str, Any]]:
    files = sorted(layout.results.glob("*.parquet"))
    return [{"message": path.stem, "rows": pq.read_metadata(path).num_rows} for path in files]


def _state(said: dict[str, Any], job: ReplayJob | None) -> str:
    if job is not None and job.alive:
        return "running"
    state = said.get("state", "")
    if state == "ended":
        return "done"
    if job is not None and job.cancelled:
        return "cancelled"
    if state == "running":
        process = ProcessId.of(int(said.get("pid") or 0))
        return "running" if job is None and process is not None else "failed"
    return "cancelled" if state == "drained" else "failed"


def forget(folder: Path) -> None:
    """Remove what is known of a run beside its folder."""
    record = _record(Layout(folder))
    for path in (record, record.with_suffix(".log")):
        path.unlink(missing_ok=True)


def _record(layout: Layout) -> Path:
    """Beside the run's folder."""
    return layout.root.with_name(f".{layout.root.name}.job.json")


def _read(record: Path) -> ReplayJob | None:
    try:
        return msgspec.json.decode(record.read_bytes(), type=ReplayJob)
    except (OSError, msgspec.DecodeError):
        return None


def _jobs(var: Path) -> list[ReplayJob]:
    found = map(_read, (var / "replay").glob("*/.*.job.json"))
    return [each for each in found if each is not None]
