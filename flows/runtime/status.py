"""How a topology is, by what its supervisor, its shards and the kernel say."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mevflow.flows.runtime.claim import holders
from mevflow.flows.runtime.layout import Layout
from mevflow.operators.errors import MevflowError
from mevflow.processes.background import ProcessId
from mevflow.processes.status_file import read_status

#: A shard that has not said a word for so long gives no rows either.
_SILENT_S = 10.0
#: States in which a topology needs somebody to look at it.
TROUBLED = ("failing", "failed", "killed", "orphaned", "fenced")


def shard_status(layout: Layout, shard: int) -> dict[str, Any]:
    """What a shard last said of itself; empty when it has said nothing."""
    return read_status(layout.status(shard))


def source_rows(shard: dict[str, Any]) -> int:
    """Rows that the sources of a shard gave, by its status."""
    nodes = shard.get("nodes", {})
    return int(sum(counts["rows_out"] for counts in nodes.values() if not counts["rows_in"]))


def orphans(layout: Layout) -> list[ProcessId]:
    """Shards that live without a supervisor: they hold the topology's claim."""
    return [process for process in holders(layout.claim) if "shard" in _module(process)]


def _module(process: ProcessId) -> str:
    """The module that a process runs (``-m NAME``)."""
    try:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return words[words.index(b"-m") + 1].decode(errors="replace") if b"-m" in words else ""


def status(name: str, var: Path) -> dict[str, Any]:
    """State of a topology and its shards.

    ``state``: ``running``, ``failing`` (a shard dies again and again at one place), ``stopping``, ``stopped``,
    ``failed``, ``fenced`` (deployed elsewhere meanwhile), ``killed`` (the supervisor died), ``orphaned`` (it died, and
    shards of it live) or ``never deployed``.
    """
    layout = Layout.live(var, name)
    saved = read_status(layout.supervisor)
    if not saved:
        return {"topology": name, "state": "never deployed", "pid": None, "shards": []}
    alive = ProcessId.load(layout.supervisor) is not None
    state = saved["state"]
    left = [] if alive else orphans(layout)
    if not alive and state in ("running", "failing", "stopping"):
        state = "killed"
    if left:
        state = "orphaned"
    return {
        "topology": name,
        "state": state,
        "pid": saved["pid"] if alive else None,
        "deployment": saved.get("deployment", ""),
        "rolling": saved.get("rolling", []),
        "fenced_by": saved.get("fenced_by", ""),
        "metrics": saved.get("metrics", "") if alive else "",
        "orphans": [process.pid for process in left],
        "shards": [_shard(layout, entry, alive) for entry in saved["shards"]],
    }


def _shard(layout: Layout, entry: dict[str, Any], alive: bool) -> dict[str, Any]:
    """What the supervisor and the shard say of it; nothing of what another process wrote as this shard."""
    said = shard_status(layout, entry["shard"])
    if entry["pid"] is not None and said.get("pid") != entry["pid"]:
        said = {}
    if said:
        said["rows"] = source_rows(said)
        speaks = time.time() - said["updated_s"] < _SILENT_S and said["state"] == "running"
        if not (alive and entry["pid"] and speaks):
            said |= {"rows_per_s": 0.0, "rates": {}, "port_rates": {}, "waiting": {}}
    return {**said, **{key: value for key, value in entry.items() if key != "pid"}, "pid": entry["pid"]}


def wait_until(
    name: str, var: Path, done: Callable[[dict[str, Any]], bool], seconds: float, poll_s: float = 0.1
) -> bool:
    """Poll :func:`status` until ``done`` says so; False at time-out. Raises MevflowError if it failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = status(name, var)
        if done(now):
            return True
        if now["state"] in TROUBLED:
            raise MevflowError(f"{name} {now['state']}", hint=f"mevflow logs {name}")
        time.sleep(poll_s)
    return False
