"""Where a Kafka source starts: recovery state, the settings, and what the log still holds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from mevflow.kafka.security import reach
from mevflow.operators.errors import StateError, UnreachableError, UsageError
from mevflow.sources.kafka.settings import KafkaSourceSettings
from mevflow.sources.kafka.watch import TopicView, look

#: Version 1 had no topic id.
_VERSION, _READ = 2, (1, 2)
_ANSWER_S = 10.0


class TopicClient:
    """What is asked about a topic besides its messages: partitions, bounds, the group's offsets."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        from confluent_kafka import Consumer

        self.bootstrap, self.topic = bootstrap, topic
        self._consumer = Consumer({**reach(bootstrap), "group.id": group, "enable.auto.commit": False, "log_level": 0})

    def partitions(self) -> tuple[int, str]:
        """How many partitions the topic has, and the cluster's id. Raises UnreachableError or UsageError."""
        from confluent_kafka import KafkaException

        try:
            found = self._consumer.list_topics(self.topic, timeout=_ANSWER_S)
        except KafkaException as error:
            raise UnreachableError(
                f"no Kafka broker answers at {self.bootstrap}",
                hint="mevflow broker start, or set MEVFLOW_KAFKA__BOOTSTRAP to one that runs",
                topic=self.topic,
            ) from error
        count = len(found.topics[self.topic].partitions)
        if count == 0:
            raise UsageError(
                f"the topic is not on the broker at {self.bootstrap}", hint="mevflow topics create", topic=self.topic
            )
        return count, str(found.cluster_id)

    def describe(self) -> TopicView:
        """The topic's id and leaders. Raises UnreachableError, or UsageError when it is gone."""
        from confluent_kafka.admin import AdminClient

        found = look(AdminClient({**reach(self.bootstrap), "log_level": 0}), self.topic)
        if found is None:
            raise UnreachableError(f"the broker at {self.bootstrap} does not describe the topic", topic=self.topic)
        if found.gone:
            raise UsageError("the topic is gone", hint="mevflow topics list", topic=self.topic)
        return found

    def leader(self, partition: int) -> tuple[str, int] | None:
        """Host and port of a partition's leader; None while there is none."""
        from confluent_kafka import KafkaException

        try:
            found = self._consumer.list_topics(self.topic, timeout=_ANSWER_S)
            node = found.brokers[found.topics[self.topic].partitions[partition].leader]
        except (KafkaException, KeyError):
            return None
        return str(node.host), int(node.port)

    def bounds(self, partition: int) -> tuple[int, int]:
        """First and next offset of a partition; waits for a leader that is being elected. Raises UnreachableError."""
        from confluent_kafka import KafkaException, TopicPartition

        place = TopicPartition(self.topic, partition)
        deadline = time.monotonic() + _ANSWER_S
        while True:
            try:
                found = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)
                if found is not None:
                    return int(found[0]), int(found[1])
                reason = "no answer in time"
            except KafkaException as error:
                reason = error.args[0].str()
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"the bounds of the log cannot be read at {self.bootstrap}: {reason}",
                    topic=self.topic,
                    partition=partition,
                )
            time.sleep(0.05)

    def group_offsets(self, partitions: list[int], topic_id: str) -> dict[int, int]:
        """What the consumer group has committed of the topic with this id; partitions without are left out.

        Raises UnreachableError.
        """
        from confluent_kafka import KafkaException, TopicPartition

        try:
            found = self._consumer.committed([TopicPartition(self.topic, p) for p in partitions], timeout=_ANSWER_S)
        except KafkaException as error:
            raise UnreachableError(
                f"the group's offsets cannot be read at {self.bootstrap}", topic=self.topic
            ) from error
        return {
            place.partition: place.offset
            for place in found
            if place.offset >= 0 and (not place.metadata or not topic_id or place.metadata == topic_id)
        }

    def commit(self, offsets: Mapping[int, int], topic_id: str) -> None:
        """Commit in the background, with the topic's id as metadata; failures are left to the next commit."""
        from confluent_kafka import KafkaException, TopicPartition

        places = [TopicPartition(self.topic, p, o, topic_id or None) for p, o in offsets.items()]
        with suppress(KafkaException):
            self._consumer.commit(offsets=places, asynchronous=True)

    def close(self) -> None:
        self._consumer.close()


@dataclass(frozen=True, slots=True)
class Positions:
    """The next offset of each partition that is read, and what they belong to.

    ``topic_id`` tells topics of one name apart (empty where the broker has none). ``anew`` says that the state was of a
    former topic of this name: what is there now is read from its start.
    """

    cluster: str
    topic: str
    count: int
    offsets: dict[int, int]
    topic_id: str = ""
    anew: bool = False

    def at(self, offsets: Mapping[int, int]) -> bytes:
        """The snapshot at these offsets."""
        return msgspec.json.encode(
            {
                "version": _VERSION,
                "cluster": self.cluster,
                "topic": self.topic,
                "topic_id": self.topic_id,
                "partitions": self.count,
                "offsets": {str(p): o for p, o in offsets.items()},
            }
        )

    @classmethod
    def resolve(cls, client: TopicClient, settings: KafkaSourceSettings, state: bytes | None) -> Positions:
        """From recovery state where there is one, else from the settings; checked against the log.

        Raises StateError when the state is not of this topic, or its offset is not in the log (unless ``on_gap`` says
        to go on at its start); UsageError for settings that do not fit the topic.
        """
        count, cluster = client.partitions()
        topic_id = client.describe().topic_id
        anew = False
        chosen = own_partitions(settings, count)
        bounds = {p: client.bounds(p) for p in chosen}
        if state is not None:
            found = _decode(state, settings.topic)
            _check_cluster(found, cluster, settings.topic)
            former = found.get("topic_id", "")
            anew = bool(former and topic_id) and former != topic_id
            if anew and settings.stop_offsets is not None:
                raise StateError("the topic was made anew in the middle of a bounded read", topic=settings.topic)
            if anew:
                wanted = {p: low for p, (low, _) in bounds.items()}
            else:
                wanted = _from_state(found, settings.topic, count, chosen, bounds)
        else:
            wanted = _from_settings(client, settings, chosen, bounds, topic_id)
        for partition, stop in (settings.stop_offsets or {}).items():
            if partition in bounds and stop > bounds[partition][1]:
                raise UsageError(
                    f"stop_offsets reach to {stop}, the log to {bounds[partition][1]}",
                    topic=settings.topic,
                    partition=partition,
                    key="stop_offsets",
                )
        offsets = {p: _checked(settings, p, offset, bounds[p]) for p, offset in wanted.items()}
        return cls(cluster, settings.topic, count, offsets, topic_id, anew)


def divide(states: Sequence[bytes], shards: int) -> list[bytes]:
    """Snapshots of all shards of a source, as those of ``shards``: partition ``p`` goes to shard ``p % shards``.

    Raises StateError when they are not of one topic, or of one partition twice.
    """
    found = [msgspec.json.decode(state, type=dict) for state in states]
    shared = [{key: value for key, value in each.items() if key not in ("offsets", "partitions")} for each in found]
    if any(each != shared[0] for each in shared):
        raise StateError("the shards' positions are not of one topic")
    offsets: dict[str, int] = {}
    for each in found:
        if offsets.keys() & each["offsets"].keys():
            raise StateError("two shards have read one partition: they did not divide the topic", topic=each["topic"])
        offsets |= each["offsets"]
    whole = found[0] | {"partitions": max(each["partitions"] for each in found)}
    return [
        msgspec.json.encode(whole | {"offsets": {p: o for p, o in offsets.items() if int(p) % shards == shard}})
        for shard in range(shards)
    ]


def own_partitions(settings: KafkaSourceSettings, count: int) -> list[int]:
    """Which of a topic's ``count`` partitions are read: those named, or all; of them the shard's share.

    Raises UsageError for one that is named and not there.
    """
    named = list(settings.stop_offsets) if settings.stop_offsets is not None else settings.partitions
    first, step = settings.share
    chosen = sorted(p for p in (range(count) if named is None else set(named)) if p % step == first)
    for partition in [*chosen, *(settings.start_offsets or {})]:
        if not 0 <= partition < count:
            raise UsageError(
                f"there is no such partition; the topic has {count}", topic=settings.topic, partition=partition
            )
    return chosen


def _decode(state: bytes, topic: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.json.decode(state, type=dict)
        version = found["version"]
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as error:
        raise StateError("the recovery state of this source cannot be read", topic=topic) from error
    if version not in _READ:
        raise StateError(f"the recovery state has format {version}, and this version reads {_VERSION}", topic=topic)
    return found


def _check_cluster(found: dict[str, Any], cluster: str, topic: str) -> None:
    if found["topic"] != topic:
        raise StateError(
            f"the recovery state is of topic {found['topic']}", hint="deploy under another name", topic=topic
        )
    if found["cluster"] != cluster:
        raise StateError(
            f"the recovery state is of Kafka cluster {found['cluster']}, this is {cluster}: offsets do not carry over",
            hint="point at the earlier cluster, or deploy anew without the state",
            topic=topic,
        )


def _from_state(
    found: dict[str, Any], topic: str, count: int, chosen: list[int], bounds: dict[int, tuple[int, int]]
) -> dict[int, int]:
    if found["partitions"] > count:
        raise StateError(
            f"the topic had {found['partitions']} partitions and has {count}: it was made anew",
            hint="deploy anew without the state",
            topic=topic,
        )
    offsets = {int(p): o for p, o in found["offsets"].items()}
    for partition in chosen:
        if partition not in offsets:
            if partition < found["partitions"]:
                raise StateError("the recovery state does not cover it", topic=topic, partition=partition)
            offsets[partition] = bounds[partition][0]  # the topic has grown: nothing of it was read yet
    if extra := sorted(set(offsets) - set(chosen)):
        raise StateError("the recovery state covers it, and the settings leave it out", topic=topic, partition=extra[0])
    return offsets


def _from_settings(
    client: TopicClient,
    settings: KafkaSourceSettings,
    chosen: list[int],
    bounds: dict[int, tuple[int, int]],
    topic_id: str,
) -> dict[int, int]:
    side = 1 if settings.start == "latest" else 0
    offsets = {p: bounds[p][side] for p in chosen}
    if settings.start == "committed":
        offsets |= client.group_offsets(chosen, topic_id)
    for partition, offset in (settings.start_offsets or {}).items():
        if partition in offsets:
            offsets[partition] = offset
    return offsets


def _checked(settings: KafkaSourceSettings, partition: int, offset: int, bounds: tuple[int, int]) -> int:
    low, high = bounds
    if low <= offset <= high:
        return offset
    if offset < low and settings.on_gap == "earliest":
        return low
    lost = (
        f"the log starts at {low}: retention has deleted what comes next" if offset < low else f"the log ends at {high}"
    )
    raise StateError(
        f"cannot resume here, {lost}",
        hint="set on_gap: earliest to go on with what is left" if offset < low else "was the topic made anew?",
        topic=settings.topic,
        partition=partition,
        offset=offset,
    )
