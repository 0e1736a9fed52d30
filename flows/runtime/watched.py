"""A shard as its supervisor sees it, and what the supervisor tells Prometheus of them."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.status import shard_status
from mevflow.flows.runtime.streak import Streak
from mevflow.metrics.endpoint import Endpoint
from mevflow.metrics.merge import merged
from mevflow.metrics.page import Page

FIRST_PAUSE_S = 1.0
#: A shard that does not answer for so long is left out of the page of all shards.
_PATIENCE_S = 2.0
_ADDRESS = re.compile(r"[\w.:\[\]-]+:\d+")


@dataclass
class Shard:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    pause_s: float = FIRST_PAUSE_S
    due: float = 0.0
    exit_code: int | None = None  # set once it is not to be started again
    streak: Streak = field(default_factory=Streak)


def watched(spec: RunSpec, shards: Sequence[Shard]) -> Endpoint:
    """Serve ``/metrics`` of the supervisor, ``/shards``: those of all its shards on one page, and ``/ready``."""
    assert spec.metrics is not None
    pages = {"/shards": partial(_of_all, spec, shards)}
    tell, unready = partial(_tell, spec, shards), partial(waiting_for, spec, shards)
    return spec.metrics.begin("mevflow-supervisor", {"topology": spec.topology}, [tell], pages=pages, unready=unready)


def waiting_for(spec: RunSpec, shards: Sequence[Shard]) -> str:
    """Which shards do not run, and why; empty when all do."""
    found = []
    for shard in shards:
        said, process = shard_status(spec.layout, shard.number), shard.process
        mine = process is not None and said.get("pid") == process.pid
        state = str(said.get("state", "loading")) if mine else "loading" if process is not None else "waiting"
        if shard.exit_code is not None:
            state = f"ended with exit code {shard.exit_code}" if shard.exit_code else "ended"
        if state not in ("running", "ended"):
            why = f" after {shard.streak.error}" if shard.streak.error else ""
            found.append(f"shard {shard.number} is {state}{why}")
    return "; ".join(found)


def _tell(spec: RunSpec, shards: Sequence[Shard], page: Page) -> None:
    states = Counter(
        "ended" if shard.exit_code is not None else "waiting" if shard.process is None else "alive" for shard in shards
    )
    for state in ("alive", "waiting", "ended"):
        page.put("mevflow_shards", states[state], state=state)
    for shard in shards:
        page.put("mevflow_restarts", shard.restarts, shard=shard.number)
        page.put("mevflow_shard_failing", shard.streak.failing, shard=shard.number)
    disk = shutil.disk_usage(spec.root)
    page.put("mevflow_disk_free_bytes", disk.free)
    page.put("mevflow_disk_size_bytes", disk.total)


def _of_all(spec: RunSpec, shards: Sequence[Shard]) -> bytes:
    """The pages of the shards that answer, as one."""
    found = []
    for shard in shards:
        said = shard_status(spec.layout, shard.number)
        process, address = shard.process, str(said.get("metrics", ""))
        if process is not None and said.get("pid") == process.pid and _ADDRESS.fullmatch(address):
            try:
                found.append(_page(address))
            except (OSError, http.client.HTTPException):
                continue
    return merged(found)


def _page(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        if reply.status != 200:
            raise http.client.HTTPException(f"{address} answers {reply.status}")
        return reply.read().decode()
    finally:
        connection.close()
