"""The topics of mevflow: create them, list them with their offsets, find offsets by chain time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mevflow.kafka.security import reach, reach_by_python
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError

_ANSWER_S = 10.0
_GIB = 1 << 30
_HINT = "mevflow broker start, or set MEVFLOW_KAFKA__BOOTSTRAP to one that runs"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is created. ``keep_bytes`` bounds each partition; time never deletes (records bear chain time).

    ``extra`` are further topic settings of Kafka.
    """

    name: str
    partitions: int
    keep_bytes: int = 4 * _GIB
    compacted: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def configs(self) -> dict[str, str]:
        """Topic settings for the broker."""
        shared = {
            "message.timestamp.type": "CreateTime",
            # Recorded days are years old, and a chain's clock may run ahead of ours.
            "message.timestamp.before.max.ms": str((1 << 63) - 1),
            "message.timestamp.after.max.ms": str((1 << 63) - 1),
            "retention.ms": "-1",
        }
        if self.compacted:
            # The live command is the last of its key; the log stays small enough to read at every start.
            compact = {"cleanup.policy": "compact", "segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}
            return {**shared, **compact, **self.extra}
        return {**shared, "cleanup.policy": "delete", "retention.bytes": str(self.keep_bytes), **self.extra}


#: Who holds what; stamped by the broker, whose time decides: see :mod:`mevflow.flows.runtime.claim_log`.
CLAIMS = TopicSpec("control-claims", 1, compacted=True, extra={"message.timestamp.type": "LogAppendTime"})

TOPICS = (
    TopicSpec("dex-swaps-proto", 8),
    TopicSpec("pool-updates-proto", 8),
    TopicSpec("price-ticks-proto", 4),
    TopicSpec("outcomes-proto", 8),
    TopicSpec("bandit-events-proto", 8),
    TopicSpec("realtime-proto", 8),
    TopicSpec("mev-decisions", 8),
    # One partition: a shard that joins reads commands in the order in which they were given.
    TopicSpec("control-commands", 1, compacted=True),
    TopicSpec("control-acks", 4, keep_bytes=_GIB),
    TopicSpec("control-heartbeats", 1, compacted=True),
    TopicSpec("control-audit", 1, keep_bytes=_GIB),
    CLAIMS,
    TopicSpec("dlq", 4, keep_bytes=_GIB),
)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic on a broker: by partition the first offset and the next that can be read, and its own settings."""

    name: str
    ends: dict[int, tuple[int, int]]
    configs: dict[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """Offsets in the log: compaction and transactions make it an upper bound."""
        return sum(stop - start for start, stop in self.ends.values())


@contextmanager
def _errors(bootstrap: str) -> Iterator[None]:
    """kafka-python's errors as ours."""
    from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

    try:
        yield
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}", hint=_HINT) from error
    except KafkaError as error:
        raise MevflowError(f"the broker at {bootstrap} says: {error}") from error


@contextmanager
def admin_client(bootstrap: str) -> Iterator[Any]:
    """A kafka-python admin client that answers within seconds. Raises UnreachableError."""
    from kafka import KafkaAdminClient

    with _errors(bootstrap):
        client = KafkaAdminClient(
            **reach_by_python(bootstrap),
            client_id="mevflow",
            request_timeout_ms=int(_ANSWER_S * 1000),
            bootstrap_timeout_ms=int(_ANSWER_S * 300),
        )
        try:
            yield client
        finally:
            client.close()


@contextmanager
def _consumer(bootstrap: str) -> Iterator[Any]:
    from kafka import KafkaConsumer

    with _errors(bootstrap):
        client = KafkaConsumer(
            **reach_by_python(bootstrap),
            client_id="mevflow",
            enable_auto_commit=False,
            # An open transaction is the end: what lies behind it cannot be read yet.
            isolation_level="read_committed",
            bootstrap_timeout_ms=int(_ANSWER_S * 300),
        )
        try:
            yield client
        finally:
            client.close()


def create(bootstrap: str, specs: tuple[TopicSpec, ...] = TOPICS) -> list[str]:
    """Create what is missing; give the names created. Topics that are there stay as they are.

    Raises MevflowError when one is there with fewer partitions than it should have.
    """
    with admin_client(bootstrap) as client:
        there = {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics()}
        missing = [spec for spec in specs if spec.name not in there]
        if missing:
            wanted = {spec.name: {"num_partitions": spec.partitions, "configs": spec.configs} for spec in missing}
            client.create_topics(wanted, wait_for_metadata=True)
    for spec in specs:
        if there.get(spec.name, spec.partitions) != spec.partitions:
            raise MevflowError(
                f"the topic has {there[spec.name]} partitions and should have {spec.partitions}",
                hint="its messages are placed by key: create a new topic and copy, do not alter this one",
                topic=spec.name,
            )
    return [spec.name for spec in missing]


def settings_of(bootstrap: str, names: list[str]) -> dict[str, tuple[int, dict[str, str]]]:
    """Topic -> (partitions, its settings), of those of ``names`` that are there. Raises UnreachableError."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource

    admin = AdminClient({**reach(bootstrap), "log_level": 0})
    try:
        there = admin.list_topics(timeout=_ANSWER_S).topics
        wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names if name in there]
        asked = admin.describe_configs(wanted, request_timeout=_ANSWER_S) if wanted else {}
        return {
            resource.name: (
                len(there[resource.name].partitions),
                {name: entry.value for name, entry in answer.result().items() if entry.value is not None},
            )
            for resource, answer in asked.items()
        }
    except KafkaException as error:
        raise UnreachableError(f"the broker at {bootstrap} does not tell its topics: {error}", hint=_HINT) from error


def keep(bootstrap: str, name: str, size: int) -> None:
    """Let each partition of a topic keep ``size`` bytes. Raises UnreachableError."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

    change = ConfigEntry("retention.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[change])
    admin = AdminClient({**reach(bootstrap), "log_level": 0})
    try:
        for done in admin.incremental_alter_configs([resource], request_timeout=_ANSWER_S).values():
            done.result()
    except KafkaException as error:
        raise UnreachableError(
            f"the broker at {bootstrap} does not take it: {error}", hint=_HINT, topic=name
        ) from error


def listing(bootstrap: str, names: list[str] | None = None) -> list[TopicInfo]:
    """Topics with their offsets, by name; internal ones (``__...``) are left out unless named."""
    with _consumer(bootstrap) as client:
        chosen = names if names is not None else sorted(n for n in client.topics() if not n.startswith("__"))
        return [TopicInfo(name, _ends(client, bootstrap, name)) for name in chosen]


def offsets_for_times(bootstrap: str, topic: str, from_us: int | None, to_us: int | None) -> dict[int, tuple[int, int]]:
    """Offsets of a window of chain time: partition -> (start, stop), in microseconds, ``to_us`` exclusive.

    ``start`` is the first offset whose timestamp is at or after ``from_us`` (None: the log's start), ``stop`` the first
    at or after ``to_us`` (None, or none such: the log's end as of now). The broker keeps milliseconds, so a window's
    edge within a millisecond takes the whole of it at the start and none of it at the end.
    Raises UsageError when the topic does not exist, UnreachableError when no broker answers.
    """
    with _consumer(bootstrap) as client:
        ends = _ends(client, bootstrap, topic)
        starts = {p: begin for p, (begin, _) in ends.items()}
        stops = {p: end for p, (_, end) in ends.items()}
        if from_us is not None:
            found = _first_at(client, topic, list(ends), from_us // 1000)
            starts = stops | found
        if to_us is not None:
            found = _first_at(client, topic, list(ends), -(-to_us // 1000))
            stops = stops | found
    return {p: (starts[p], max(starts[p], stops[p])) for p in sorted(ends)}


def _ends(client: Any, bootstrap: str, topic: str) -> dict[int, tuple[int, int]]:
    from kafka import TopicPartition

    partitions = client.partitions_for_topic(topic)
    if not partitions:
        raise UsageError(f"the topic is not on the broker at {bootstrap}", hint="mevflow topics create", topic=topic)
    places = [TopicPartition(topic, number) for number in sorted(partitions)]
    begin, end = client.beginning_offsets(places), client.end_offsets(places)
    return {place.partition: (begin[place], end[place]) for place in places}


def _first_at(client: Any, topic: str, partitions: list[int], time_ms: int) -> dict[int, int]:
    """Partition -> first offset whose timestamp is at or after ``time_ms``; left out when there is none."""
    from kafka import TopicPartition

    places = {TopicPartition(topic, p): max(0, time_ms) for p in partitions}
    found = client.offsets_for_times(places)
    return {place.partition: hit.offset for place, hit in found.items() if hit is not None}


def cluster_id(bootstrap: str) -> str:
    """The id that a cluster keeps for good. Raises UnreachableError."""
    with admin_client(bootstrap) as client:
        return str(client.describe_cluster()["cluster_id"])
