"""What becomes of a topic while it is read: a thread that asks the broker for its id, partitions, leaders and ends."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mevflow.kafka.security import reach

_PERIOD_S = 0.5
_ANSWER_S = 5.0
#: An answer older than this says nothing about now.
STALE_S = 10.0
#: What a broker without topic ids gives.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_UNKNOWN_TOPIC = 3


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic as the broker described it.

    ``ends`` are the offsets up to which records may be read, by partition: before the first open transaction.
    ``gone`` says that there is no such topic. ``asked_s`` is when it was asked, by the monotonic clock.
    """

    topic_id: str = ""
    count: int = 0
    leaderless: tuple[int, ...] = ()
    ends: dict[int, int] = field(default_factory=dict)
    gone: bool = False
    asked_s: float = 0.0

    @property
    def fresh(self) -> bool:
        """Whether this is still news."""
        return time.monotonic() - self.asked_s < STALE_S


class TopicWatch:
    """Asks every half second; :attr:`view` is the last answer (None before the first one)."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka.admin import AdminClient

        self._topic = topic
        self._admin = AdminClient({**reach(bootstrap), "log_level": 0})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{topic}", daemon=True)
        self.view: TopicView | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S if self.view is not None else 0.0):
            found = look(self._admin, self._topic)
            if found is not None:
                self.view = found
            elif self.view is None:
                self._stop.wait(_PERIOD_S)

    def starts(self, partitions: list[int]) -> dict[int, int] | None:
        """The first offset of each of the partitions; None while a leader is missing or does not answer."""
        from confluent_kafka.admin import OffsetSpec

        found = _offsets(self._admin, self._topic, dict.fromkeys(partitions, OffsetSpec.earliest()))
        return found if found.keys() == set(partitions) else None

    def close(self) -> None:
        """Stop asking; an answer that is still out is not waited for."""
        self._stop.set()


def look(admin: Any, topic: str) -> TopicView | None:
    """The topic as it is now; None when no broker answers."""
    from confluent_kafka import KafkaException, TopicCollection
    from confluent_kafka.admin import OffsetSpec

    asked_s = time.monotonic()
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_S)[topic].result(_ANSWER_S)
    except KafkaException as error:
        return TopicView(gone=True, asked_s=asked_s) if error.args[0].code() == _UNKNOWN_TOPIC else None
    except TimeoutError:
        return None
    leaderless = tuple(part.id for part in described.partitions if part.leader is None or part.leader.id < 0)
    count = len(described.partitions)
    ends = _offsets(admin, topic, {p: OffsetSpec.latest() for p in range(count) if p not in leaderless})
    topic_id = str(described.topic_id)
    return TopicView("" if topic_id == _NO_ID else topic_id, count, leaderless, ends, False, asked_s)


def _offsets(admin: Any, topic: str, wanted: dict[int, Any]) -> dict[int, int]:
    """Offsets by partition, as a reader of committed records sees them; without those that nobody answers for."""
    from confluent_kafka import IsolationLevel, KafkaException, TopicPartition

    if not wanted:
        return {}
    places = {TopicPartition(topic, partition): spec for partition, spec in wanted.items()}
    answers = admin.list_offsets(places, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ANSWER_S)
    found: dict[int, int] = {}
    for place, answer in answers.items():
        with suppress(KafkaException, TimeoutError):  # a leader is being elected
            found[place.partition] = int(answer.result(_ANSWER_S).offset)
    return found
