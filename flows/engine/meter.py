"""What a running shard says of itself: rows by node, busy seconds, event time; written to its status file."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from mevflow.flows.engine.figures import DECISION, NodeFigures, message_of
from mevflow.flows.engine.pace import Pace
from mevflow.flows.engine.traces import DecisionTraces
from mevflow.metrics.page import Page, Teller
from mevflow.operators.stage import CAUGHT_UP_US
from mevflow.processes.status_file import write_status
from mevflow.sources.source import Standing

_PERIOD_S = 0.5
_LAST_TRIES = 10
#: Rates are of about so many seconds.
_RATE_S = 5.0


class Meter:
    """Counters of one shard. ``path`` is replaced as a whole, so a reader never sees half of it."""

    def __init__(self, path: Path | None, identity: dict[str, Any]) -> None:
        self._path, self._identity = path, identity
        self._nodes: dict[str, dict[str, float]] = {}
        self._ports: dict[str, Counter[str]] = {}
        self._pace, self._port_pace = Pace(_RATE_S), Pace(_RATE_S)
        self._watermarks: dict[str, int] = {}
        self._started = time.time()
        self._next = 0.0
        self._unopened: set[str] = set()
        self._first_row_s: float | None = None
        self._flowed = time.monotonic()
        self._standing: dict[str, Standing] = {}
        self._asked: dict[str, float] = {}
        self.state = "starting"
        self.figures = NodeFigures()
        #: Where a share of the decisions is told as traces; None: nowhere.
        self.traces: DecisionTraces | None = None
        #: What parts of the shard have to tell of themselves.
        self.tellers: list[Teller] = []

    def identify(self, **fields: Any) -> None:
        """Add to what the status file says the shard is."""
        self._identity.update(fields)

    def expect(self, node: str) -> None:
        """``node`` is a source or a sink that must open before the shard counts as running."""
        self._unopened.add(node)

    def opened(self, node: str) -> None:
        """``node`` is open; with the last of them the shard runs."""
        self._unopened.discard(node)
        if not self._unopened:
            self.state = "running"
            self.write()

    def end(self, state: str, **fields: Any) -> None:
        """The last word: a disk that is full is asked again for a while."""
        self.state = state
        for _ in range(_LAST_TRIES):
            if self.write(**fields):
                return
            time.sleep(_PERIOD_S)

    def _node(self, name: str) -> dict[str, float]:
        if name not in self._nodes:
            self._nodes[name] = {"rows_in": 0, "rows_out": 0, "busy_s": 0.0, "rejected": 0}
            self._ports[name] = Counter()
        return self._nodes[name]

    def rows_in(self, node: str, rows: int) -> None:
        self._node(node)["rows_in"] += rows

    def rows_out(self, node: str, rows: int, port: str = "out") -> None:
        if rows:
            self._flowed = time.monotonic()
            if self._first_row_s is None:
                self._first_row_s = time.time()
        self._node(node)["rows_out"] += rows
        self._ports[node][port] += rows

    def emitted(self, node: str, port: str, batch: pa.RecordBatch) -> None:
        """A stage has given a batch of rows."""
        self.rows_out(node, batch.num_rows, port)
        self.figures.emitted(node, port, batch)
        if port == "errors":
            self.rejected(node, batch.num_rows)
        elif self.traces is not None and message_of(batch) == DECISION:
            self.traces.decided(batch)

    @property
    def quiet_s(self) -> float:
        """Seconds for which no node has given rows."""
        return time.monotonic() - self._flowed

    def rejected(self, node: str, rows: int) -> None:
        """``node`` has given ``rows`` dead letters."""
        self._node(node)["rejected"] += rows

    def watermark(self, node: str, hold_us: int) -> None:
        """Chain time up to which ``node`` is complete; "caught up" is kept apart from a time."""
        self._watermarks[node] = hold_us

    def progress(self) -> tuple[int, int]:
        """Rows that the sources have given, and how many they are behind. Safe from another thread."""
        nodes = list(self._nodes.values())
        return int(sum(n["rows_out"] for n in nodes if not n["rows_in"])), self._behind()

    def _behind(self) -> int:
        return sum(standing.behind for standing in list(self._standing.values()))

    @contextmanager
    def busy(self, node: str, *, call: bool = False) -> Iterator[None]:
        """Count the time inside as work of ``node``; ``call``: as one call with something to do."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._node(node)["busy_s"] += seconds
            if call:
                self.figures.called(node, seconds)
            if self.traces is not None:
                self.traces.called(node, seconds)

    def worked(self, node: str, seconds: float) -> None:
        """Add to the busy time of ``node`` what another thread did for it, or take off what it waited."""
        self._node(node)["busy_s"] += seconds

    @contextmanager
    def snapshot(self, node: str) -> Iterator[list[bytes]]:
        """Measure a snapshot of ``node``: its bytes are put into the list."""
        start, made = time.perf_counter(), list[bytes]()
        yield made
        self.figures.snapshot(node, time.perf_counter() - start, sum(map(len, made)))

    def tick(self, node: str, standing: Callable[[], Standing]) -> None:
        """Ask where the source ``node`` stands, and write the status file, when either is due."""
        now = time.monotonic()
        if now >= self._asked.get(node, 0.0) + _PERIOD_S:
            self._asked[node] = now
            self._standing[node] = standing()
        if now >= self._next:
            self._next = now + _PERIOD_S
            self._pace.sample(now, self._nodes)
            self._port_pace.sample(now, self._ports)
            self.write()

    @property
    def _caught_up(self) -> bool:
        verified = all(standing.caught_up is not False for standing in list(self._standing.values()))
        return verified and bool(self._watermarks) and all(h == CAUGHT_UP_US for h in list(self._watermarks.values()))

    def tell(self, page: Page) -> None:
        """Put the shard's figures. Safe from another thread."""
        page.put("mevflow_shard_running", self.state == "running")
        page.put("mevflow_caught_up", self._caught_up)
        for node, counts in list(self._nodes.items()):
            for outcome, key in (("in", "rows_in"), ("out", "rows_out"), ("rejected", "rejected")):
                page.put("mevflow_events", counts[key], stage=node, outcome=outcome)
            page.put("mevflow_stage_busy_seconds", counts["busy_s"], stage=node)
        self.figures.tell(page, dict(self._standing))
        for tell in self.tellers:
            tell(page)

    def write(self, **fields: Any) -> bool:
        """Write the status file now. False when the disk did not take it; the next tick tries again."""
        if self._path is None:
            return True
        rates = self._pace.rates()
        status = {
            **self._identity,
            "pid": os.getpid(),
            "state": self.state,
            "caught_up": self._caught_up,
            "started_s": self._started,
            "first_row_s": self._first_row_s,
            "updated_s": time.time(),
            "behind": self._behind(),
            "epochs": self.figures.epochs,
            "dead_letters": int(sum(node["rejected"] for node in self._nodes.values())),
            "notes": {node: standing.notes for node, standing in self._standing.items() if standing.notes},
            "rows_per_s": round(sum(rate["rows_out"] for node, rate in rates.items() if node in self._standing), 1),
            "nodes": self._nodes,
            "ports": self._ports,
            "rates": rates,
            "port_rates": self._port_pace.rates(),
            "waiting": {node: standing.behind for node, standing in self._standing.items()},
            **fields,
        }
        return write_status(self._path, status)
