"""Replays: ``/api/replays``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pyarrow.parquet as pq
from msgspec import Meta

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Nothing, Surroundings
from mevflow.control.refusal import invalid
from mevflow.flows.replay import jobs
from mevflow.flows.replay.diff import diff as compare
from mevflow.flows.replay.diff import folder_of
from mevflow.flows.replay.plan import Plan, plan
from mevflow.flows.runtime.window import SlotWindow
from mevflow.operators.chains import number_of

#: Result rows of two runs that are compared over HTTP; more are for the command line.
MAX_COMPARED = 400_000
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,127}$")]
RunId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Moment = Annotated[int, Meta(ge=0, lt=1 << 60)]
Slot = Annotated[int, Meta(ge=0, lt=1 << 62)]


class ReplayAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A window by chain time or by slot of a chain. ``warmup_us``: history before it; absent: all of it.

    ``replace``: an earlier run of this id gives way. ``files_only``: nothing goes to ClickHouse.
    """

    topology: Name
    run_id: RunId
    from_us: Moment | None = None
    to_us: Moment | None = None
    from_slot: Slot | None = None
    to_slot: Slot | None = None
    chain: Annotated[str, Meta(max_length=64)] = "solana"
    warmup_us: Moment | None = None
    files_only: bool = False
    allow_lost_commands: bool = False
    replace: bool = False


class RunAsked(msgspec.Struct, forbid_unknown_fields=True):
    """One run."""

    topology: Name
    run_id: RunId


class DiffAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Two runs of a topology."""

    topology: Name
    first: RunId
    second: RunId


def listing(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Every replay, newest first, with how far it is and what came of it."""
    return {"rows": jobs.runs(around.var)}


def planned(around: Surroundings, asked: ReplayAsked) -> dict[str, Any]:
    """Offsets and messages that a replay would read; nothing is started."""
    return _plan(around, asked).as_dict()


def start(around: Surroundings, asked: ReplayAsked) -> dict[str, Any]:
    """Start it in the background; the list says how far it is."""
    found = _plan(around, asked)
    if not asked.allow_lost_commands:
        found.check()
    options = jobs.window_options(asked.from_us, asked.to_us)
    if asked.from_slot is not None or asked.to_slot is not None:
        options += ["--chain", asked.chain]
        options += [] if asked.from_slot is None else ["--from-slot", str(asked.from_slot)]
        options += [] if asked.to_slot is None else ["--to-slot", str(asked.to_slot)]
    if asked.warmup_us is not None:
        options += ["--warmup", f"{asked.warmup_us / 1_000_000:.6f}s"]
    options += ["--no-clickhouse"] if asked.files_only else []
    options += ["--allow-lost-commands"] if asked.allow_lost_commands else []
    job = jobs.start(found, around.file, around.var, options, replace=asked.replace)
    return {"topology": job.topology, "run_id": job.run_id, "messages": job.messages, "state": "running"}


def cancel(around: Surroundings, asked: RunAsked) -> dict[str, Any]:
    """End a replay in order; what it has written stays under its run's id."""
    job = jobs.cancel(around.var, asked.topology, asked.run_id)
    return {"topology": job.topology, "run_id": job.run_id, "state": "cancelled"}


def difference(around: Surroundings, asked: DiffAsked) -> dict[str, Any]:
    """Rows of one run only, changed fields, the difference in profit, and where they part first."""
    folders = [folder_of(around.var, run, asked.topology) for run in (asked.first, asked.second)]
    rows = sum(pq.read_metadata(path).num_rows for folder in folders for path in folder.glob("*.parquet"))
    if rows > MAX_COMPARED:
        raise invalid("first", f"{rows:,} rows, at most {MAX_COMPARED:,} here: mevflow replay diff compares them")
    return compare(folders[0], folders[1], (asked.first, asked.second)).as_dict()


def _plan(around: Surroundings, asked: ReplayAsked) -> Plan:
    by_slot = asked.from_slot is not None or asked.to_slot is not None
    if by_slot and (asked.from_us is not None or asked.to_us is not None):
        raise invalid("from_slot", "a window is given by time or by slot")
    for begin, end in ((asked.from_us, asked.to_us), (asked.from_slot, asked.to_slot)):
        if begin is not None and end is not None and begin >= end:
            raise invalid("to_slot" if by_slot else "to_us", "the window is empty")
    slots = SlotWindow(number_of(asked.chain), asked.from_slot, asked.to_slot) if by_slot else None
    return plan(
        around.file,
        asked.topology,
        around.var,
        asked.run_id,
        from_us=asked.from_us,
        to_us=asked.to_us,
        warmup_us=asked.warmup_us,
        to_clickhouse=not asked.files_only,
        slots=slots,
    )


ENDPOINTS = (
    HttpEndpoint("GET", "/api/replays", "Replays", "Replays and how far they are", Nothing, listing),
    HttpEndpoint("POST", "/api/replays", "ReplayStart", "Start a replay in the background", ReplayAsked, start),
    HttpEndpoint("POST", "/api/replays/plan", "ReplayPlan", "What a replay would read", ReplayAsked, planned),
    HttpEndpoint("POST", "/api/replays/cancel", "ReplayCancel", "End a replay", RunAsked, cancel),
    HttpEndpoint("GET", "/api/replays/diff", "ReplayDiff", "Two runs held against each other", DiffAsked, difference),
)
