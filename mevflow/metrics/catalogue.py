"""Every metric that a mevflow process can tell, by name.

Names are in base units. Labels have few values: no address, transaction or id is ever one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "info"]

SHARD, SUPERVISOR, HUB, CONTROL, CLICKHOUSE = "shard", "supervisor", "hub", "control", "clickhouse"
EVERY = (SHARD, SUPERVISOR, HUB, CONTROL, CLICKHOUSE)

#: Bounds of histograms: seconds of work, seconds of epochs, rows.
WORK_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EPOCH_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
ROWS = (1.0, 10.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 200_000.0)

#: Bounds of each histogram by name.
BOUNDS: dict[str, tuple[float, ...]] = {
    "mevflow_stage_seconds": WORK_S,
    "mevflow_batch_rows": ROWS,
    "mevflow_epoch_seconds": EPOCH_S,
    "mevflow_snapshot_seconds": EPOCH_S,
    "mevflow_clickhouse_insert_seconds": WORK_S,
    "mevflow_call_seconds": WORK_S,
    "mevflow_ack_seconds": WORK_S,
    "mevflow_http_request_seconds": WORK_S,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is without the ``_total`` of counters and the ``_info`` of infos."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    processes: tuple[str, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps it."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum")
        return (f"{self.name}_info",) if self.kind == "info" else (self.name,)


def _of(processes: tuple[str, ...], *rows: tuple[str, Kind, str, tuple[str, ...]]) -> list[Metric]:
    return [Metric(name, kind, text, labels, processes) for name, kind, text, labels in rows]


_METRICS: list[Metric] = [
    *_of(
        EVERY,
        ("mevflow_build", "info", "Versions of mevflow and of Python", ("version", "python")),
        ("mevflow_process_cpu_seconds", "counter", "Processor time, user and system", ()),
        ("mevflow_process_resident_memory_bytes", "gauge", "Memory that is resident", ()),
        ("mevflow_process_open_fds", "gauge", "Open file descriptors", ()),
        ("mevflow_process_threads", "gauge", "Threads", ()),
        ("mevflow_process_start_time_seconds", "gauge", "When the process started, seconds since 1970", ()),
        ("mevflow_gc_collections", "counter", "Collections of Python's garbage collector", ("generation",)),
    ),
    *_of(
        (SHARD,),
        ("mevflow_shard_running", "gauge", "1 once every source and sink is open", ()),
        ("mevflow_caught_up", "gauge", "1 when all that the sources' topics hold has been read", ()),
        ("mevflow_events", "counter", "Rows by stage: in, out, rejected", ("stage", "outcome")),
        ("mevflow_stage_busy_seconds", "counter", "Time that a stage, source or sink has worked", ("stage",)),
        ("mevflow_stage_seconds", "histogram", "Time of one call of a stage or sink", ("stage",)),
        ("mevflow_batch_rows", "histogram", "Rows of one batch into a stage or sink", ("stage",)),
        (
            "mevflow_event_time_lag_seconds",
            "gauge",
            "Age of the last row while rows wait, else 0",
            ("stage",),
        ),
        (
            "mevflow_last_event_timestamp_seconds",
            "gauge",
            "Chain time of the newest row of a source",
            ("stage",),
        ),
        ("mevflow_consumer_lag_records", "gauge", "Records that may be read and were not", ("topic", "partition")),
        ("mevflow_epoch_seconds", "histogram", "Time from one snapshot of a source to the next", ()),
        ("mevflow_snapshot_seconds", "histogram", "Time that a snapshot takes, flush of a sink included", ("stage",)),
        ("mevflow_snapshot_bytes", "gauge", "Size of the last snapshot", ("stage",)),
        ("mevflow_opportunities", "counter", "Opportunities found; closings are none", ("chain",)),
        (
            "mevflow_opportunity_profit_usd",
            "counter",
            "Their estimated profit: gross, and net of costs as what is gained and what is lost",
            ("chain", "kind"),
        ),
        ("mevflow_decisions", "counter", "Decisions by policy and chosen arm", ("policy", "arm")),
        ("mevflow_propensity_minimum", "gauge", "Least propensity of a chosen arm since the start", ("policy",)),
        (
            "mevflow_propensity_weight",
            "counter",
            "1 / propensity of the chosen arms, and its square: how many decisions an estimate rests on is the first "
            "squared over the second",
            ("policy", "power"),
        ),
        (
            "mevflow_decision_surprise_nats",
            "counter",
            "-ln(propensity) of the chosen arms: a decision's mean is the policy's entropy",
            ("policy",),
        ),
        ("mevflow_policy_version", "gauge", "Version of the policy that made the last decision", ("policy",)),
        ("mevflow_model_version", "gauge", "Version of the model behind the last decision", ("policy",)),
        ("mevflow_outcomes", "counter", "Outcomes joined to decisions: landed, missed, skipped, expired", ("kind",)),
        ("mevflow_reward_usd", "counter", "Rewards by arm, as what is gained and what is lost", ("arm", "kind")),
        ("mevflow_stage_counts", "counter", "What a stage has counted beside its outputs", ("stage", "what")),
        ("mevflow_dead_letters", "counter", "Rows that could not be processed", ("stage", "reason")),
        ("mevflow_clickhouse_insert_rows", "counter", "Rows that ClickHouse has taken", ("stage", "table")),
        ("mevflow_clickhouse_insert_seconds", "histogram", "Time of one INSERT, attempts included", ("stage",)),
        ("mevflow_clickhouse_insert_retries", "counter", "INSERTs that had to be sent again", ("stage",)),
        (
            "mevflow_clickhouse_insert_blocked_seconds",
            "counter",
            "Time that the stream waited for it",
            ("stage",),
        ),
        ("mevflow_clickhouse_insert_queue_blocks", "gauge", "Blocks that are not stored yet", ("stage",)),
        ("mevflow_kafka_produced_records", "counter", "Records given to the producer", ("stage", "topic")),
        (
            "mevflow_kafka_produce_errors",
            "counter",
            "Failures; each ends the shard",
            ("stage", "topic"),
        ),
        ("mevflow_kafka_queue_records", "gauge", "Records without the broker's word", ("stage", "topic")),
        ("mevflow_feed_dropped_messages", "counter", "Messages that did not reach the hub", ("stage",)),
        ("mevflow_kill_engaged", "gauge", "1 while decisions are off by the kill switch, wholly or in part", ()),
        ("mevflow_paused", "gauge", "1 while the sources are paused by command", ()),
        ("mevflow_command_answers", "counter", "Answers to control commands", ("status",)),
        ("mevflow_control_version", "gauge", "Newest policy version that the shard was told", ()),
    ),
    *_of(
        (SUPERVISOR,),
        ("mevflow_shards", "gauge", "Shards by how they are: alive, waiting to start again, ended", ("state",)),
        ("mevflow_restarts", "counter", "Starts after a death", ("shard",)),
        ("mevflow_shard_failing", "gauge", "1 while a shard dies again and again at one place", ("shard",)),
        ("mevflow_disk_free_bytes", "gauge", "Room on the disk that holds the state", ()),
        ("mevflow_disk_size_bytes", "gauge", "Size of that disk", ()),
    ),
    *_of(
        (HUB,),
        ("mevflow_websocket_clients", "gauge", "Connected clients", ()),
        ("mevflow_websocket_slow_clients", "gauge", "Clients that do not keep up right now", ()),
        ("mevflow_websocket_feeds", "gauge", "Shards that are connected", ()),
        ("mevflow_websocket_received_messages", "counter", "Messages from shards", ()),
        ("mevflow_websocket_sent_messages", "counter", "Messages to clients", ()),
        (
            "mevflow_websocket_dropped_messages",
            "counter",
            "Messages that clients did not get: lost by a feed, too much waiting, too old",
            ("reason",),
        ),
        ("mevflow_websocket_stalled_clients", "counter", "Connections ended because nothing was taken", ()),
        ("mevflow_websocket_queued_messages", "gauge", "Messages that wait for slow clients", ()),
        ("mevflow_websocket_queued_bytes", "gauge", "Bytes that wait for slow clients", ()),
    ),
    *_of(
        (CONTROL,),
        ("mevflow_calls", "counter", "Calls by method and gRPC code, over gRPC and HTTP", ("method", "code")),
        ("mevflow_call_seconds", "histogram", "Time of a call", ("method",)),
        ("mevflow_command_outcomes", "counter", "What commands came to when their caller was answered", ("outcome",)),
        ("mevflow_ack_seconds", "histogram", "From a command's issue to a shard's answer", ()),
        ("mevflow_collector_restarts", "counter", "Starts of the ack collector after a failure", ()),
        ("mevflow_audit_lost_records", "gauge", "Audit records that could not be written", ()),
        ("mevflow_ready", "gauge", "1 while the service takes calls", ()),
    ),
    *_of(
        (CONTROL, CLICKHOUSE),
        ("mevflow_http_requests", "counter", "HTTP requests by status", ("code",)),
        ("mevflow_http_request_seconds", "histogram", "Time to the end of an answer", ()),
    ),
    *_of(
        (CLICKHOUSE,),
        ("mevflow_clickhouse_parts", "gauge", "Most active parts in one partition of a table", ("database", "table")),
        ("mevflow_clickhouse_rows", "gauge", "Rows in active parts", ("database", "table")),
        ("mevflow_clickhouse_bytes", "gauge", "Bytes on disk of active parts", ("database", "table")),
    ),
]

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
