"""What a shard tells Prometheus beyond its status file: times, sizes, lag, and what its batches say of the business.

Everything is counted a batch at a time, on Arrow columns. The shard's one worker counts; the thread that answers a
scrape only reads.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS
from mevflow.metrics.page import Page
from mevflow.sources.source import Standing
from mevflow.v1.market_pb2 import Chain

DECISION = b"mevflow.v1.Decision"
#: Values of one label that are told apart; what a plug-in invents beyond that is ``other``.
_MOST_VALUES = 64


def _buckets(name: str) -> defaultdict[str, Buckets]:
    return defaultdict(lambda: Buckets(BOUNDS[name]))


class NodeFigures:
    """Of one shard."""

    def __init__(self) -> None:
        self._call_s = _buckets("mevflow_stage_seconds")
        self._batch_rows = _buckets("mevflow_batch_rows")
        self._snapshot_s = _buckets("mevflow_snapshot_seconds")
        self._epoch_s = Buckets(BOUNDS["mevflow_epoch_seconds"])
        self._snapshot_bytes: dict[str, int] = {}
        self._epoch_began: dict[str, float] = {}
        self._epochs: Counter[str] = Counter()
        self._last_us: dict[str, int] = {}
        self._counts: dict[str, defaultdict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))
        self._least: dict[str, float] = {}
        self._versions: dict[str, tuple[int, int]] = {}

    def called(self, node: str, seconds: float) -> None:
        """A stage or sink has worked on what it was given."""
        self._call_s[node].observe(seconds)

    def took(self, node: str, rows: int) -> None:
        """A batch has gone into a stage or sink."""
        self._batch_rows[node].observe(rows)

    def snapshot(self, node: str, seconds: float, size: int) -> None:
        """A snapshot of ``node`` has been made."""
        self._snapshot_s[node].observe(seconds)
        self._snapshot_bytes[node] = size

    def epoch(self, source: str) -> None:
        """A source's snapshot begins: an epoch of it ends."""
        now = time.monotonic()
        if source in self._epoch_began:
            self._epoch_s.observe(now - self._epoch_began[source])
        self._epoch_began[source] = now
        self._epochs[source] += 1

    @property
    def epochs(self) -> int:
        """Epochs that have ended at every source. Safe from another thread."""
        return min(self._epochs.values(), default=0)

    def gave(self, source: str, batch: pa.RecordBatch) -> None:
        """A source has given rows."""
        if batch.num_rows and "timestamp_us" in batch.schema.names:
            newest = pc.max(batch.column("timestamp_us")).as_py()
            self._last_us[source] = max(self._last_us.get(source, 0), int(newest or 0))

    def refused(self, node: str, rows: int) -> None:
        """A sink could not keep rows, and has not said why."""
        self._counts["dead_letters"][node, "not_stored"] += rows

    def emitted(self, node: str, port: str, batch: pa.RecordBatch) -> None:
        """A stage has given a batch: count what it says of opportunities, decisions, outcomes and dead letters."""
        if port == "errors":
            for reason, rows in _by(batch, "reason"):
                self._counts["dead_letters"][node, self._told("dead_letters", reason)] += rows
            return
        message = message_of(batch)
        if message == b"mevflow.v1.Opportunity":
            self._opportunities(batch)
        elif message == DECISION:
            self._decisions(batch)
        elif message == b"mevflow.v1.Outcome":
            self._outcomes(batch)

    def _opportunities(self, batch: pa.RecordBatch) -> None:
        narrow = batch.select(["chain", "closed", "gross_profit_usd", "net_profit_usd"])
        for number, rows in _parts(narrow.filter(pc.invert(narrow.column("closed"))), "chain"):
            chain = Chain.Name(number).removeprefix("CHAIN_").lower() if number in Chain.values() else str(number)
            self._counts["opportunities"][(chain,)] += rows.num_rows
            gross, net = rows.column("gross_profit_usd"), rows.column("net_profit_usd")
            self._add_signed("profit", (chain,), net, "net_gained", "net_lost")
            self._counts["profit"][chain, "gross"] += max(0.0, pc.sum(gross).as_py() or 0.0)

    def _decisions(self, batch: pa.RecordBatch) -> None:
        narrow = batch.select(["policy", "arm", "propensity", "policy_version", "model_version"])
        for policy, rows in _parts(narrow, "policy"):
            for arm, count in _by(rows, "arm"):
                self._counts["decisions"][policy, self._told("decisions", arm)] += count
            least = pc.min(rows.column("propensity")).as_py()
            self._least[policy] = min(self._least.get(policy, 1.0), least)
            weight = 1.0 / rows.column("propensity").to_numpy()
            self._counts["weights"][policy, "1"] += float(weight.sum())
            self._counts["weights"][policy, "2"] += float((weight * weight).sum())
            self._counts["surprise"][(policy,)] += float(np.log(weight).sum())
            last = rows.num_rows - 1
            versions = rows.column("policy_version")[last].as_py(), rows.column("model_version")[last].as_py()
            if None not in versions:
                self._versions[policy] = versions

    def _outcomes(self, batch: pa.RecordBatch) -> None:
        for kind, count in _by(batch, "kind"):
            self._counts["outcomes"][(kind,)] += count
        for arm, rows in _parts(batch.select(["arm", "reward_usd"]), "arm"):
            self._add_signed("rewards", (self._told("decisions", arm),), rows.column("reward_usd"), "gained", "lost")

    def _add_signed(self, name: str, labels: tuple[str, ...], values: pa.Array, gained: str, lost: str) -> None:
        """What is above zero and what is below, apart: each only grows."""
        positive = pc.sum(pc.max_element_wise(values, 0.0)).as_py() or 0.0
        negative = pc.sum(pc.min_element_wise(values, 0.0)).as_py() or 0.0
        self._counts[name][*labels, gained] += positive
        self._counts[name][*labels, lost] -= negative

    def _told(self, name: str, value: str) -> str:
        known = {labels[-1] for labels in self._counts[name]}
        return value if value in known or len(known) < _MOST_VALUES else "other"

    def tell(self, page: Page, standing: dict[str, Standing]) -> None:
        """Put all of it. ``standing``: where each source stands."""
        for name, by_node in (
            ("mevflow_stage_seconds", self._call_s),
            ("mevflow_batch_rows", self._batch_rows),
            ("mevflow_snapshot_seconds", self._snapshot_s),
        ):
            for node, seen in list(by_node.items()):
                page.put(name, seen, stage=node)
        page.put("mevflow_epoch_seconds", self._epoch_s)
        for node, size in list(self._snapshot_bytes.items()):
            page.put("mevflow_snapshot_bytes", size, stage=node)
        self._tell_lag(page, standing)
        self._tell_business(page)

    def _tell_lag(self, page: Page, standing: dict[str, Standing]) -> None:
        for node, last_us in list(self._last_us.items()):
            page.put("mevflow_last_event_timestamp_seconds", last_us / 1e6, stage=node)
            waiting = node in standing and standing[node].behind > 0
            page.put("mevflow_event_time_lag_seconds", time.time() - last_us / 1e6 if waiting else 0.0, stage=node)
        lag: Counter[tuple[str, int]] = Counter()
        for where in list(standing.values()):
            for part in where.partitions:  # two sources may read one topic
                lag[part.topic, part.partition] = max(lag[part.topic, part.partition], part.records)
        for (topic, partition), records in lag.items():
            page.put("mevflow_consumer_lag_records", records, topic=topic, partition=partition)

    def _tell_business(self, page: Page) -> None:
        counts = {name: dict(found) for name, found in list(self._counts.items())}
        for (chain,), rows in counts.get("opportunities", {}).items():
            page.put("mevflow_opportunities", rows, chain=chain)
        for (chain, kind), usd in counts.get("profit", {}).items():
            page.put("mevflow_opportunity_profit_usd", usd, chain=chain, kind=kind)
        for (policy, arm), rows in counts.get("decisions", {}).items():
            page.put("mevflow_decisions", rows, policy=policy, arm=arm)
        for policy, least in list(self._least.items()):
            page.put("mevflow_propensity_minimum", least, policy=policy)
        for (policy, power), weight in counts.get("weights", {}).items():
            page.put("mevflow_propensity_weight", weight, policy=policy, power=power)
        for (policy,), nats in counts.get("surprise", {}).items():
            page.put("mevflow_decision_surprise_nats", nats, policy=policy)
        for policy, (version, model) in list(self._versions.items()):
            page.put("mevflow_policy_version", version, policy=policy)
            page.put("mevflow_model_version", model, policy=policy)
        for (kind,), rows in counts.get("outcomes", {}).items():
            page.put("mevflow_outcomes", rows, kind=kind)
        for (arm, kind), usd in counts.get("rewards", {}).items():
            page.put("mevflow_reward_usd", usd, arm=arm, kind=kind)
        for (node, reason), rows in counts.get("dead_letters", {}).items():
            page.put("mevflow_dead_letters", rows, stage=node, reason=reason)


def message_of(batch: pa.RecordBatch) -> bytes:
    """The full name of the message that a batch has as rows; empty when its schema does not say."""
    found: bytes = (batch.schema.metadata or {}).get(b"message", b"")
    return found


def _parts(batch: pa.RecordBatch, column: str) -> list[tuple[Any, pa.RecordBatch]]:
    """The rows of each value; most batches have one."""
    values = pc.unique(batch.column(column)).to_pylist()
    if len(values) == 1:
        return [(values[0], batch)]
    return [(value, batch.filter(pc.equal(batch.column(column), value))) for value in values]


def _by(batch: pa.RecordBatch, column: str) -> list[tuple[str, int]]:
    """Rows by value."""
    return [(each["values"] or "", each["counts"]) for each in pc.value_counts(batch.column(column)).to_pylist()]
