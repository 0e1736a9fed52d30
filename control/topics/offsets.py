"""Where a topic begins and ends, asked until the broker knows."""

from __future__ import annotations

import time
from typing import Any

from mevflow.operators.errors import UnreachableError, UsageError

_AGAIN_S = 0.05


def bounds(client: Any, bootstrap: str, topic: str, seconds: float) -> dict[int, tuple[int, int]]:
    """Partition -> (first offset, next offset). A partition without a leader for the moment is asked again. Blocks.

    Raises UsageError when there is no such topic, UnreachableError when there is no answer within ``seconds``.
    """
    from confluent_kafka import KafkaException, TopicPartition

    deadline = time.monotonic() + seconds
    while True:
        try:
            known = client.list_topics(timeout=max(0.1, deadline - time.monotonic())).topics
            if topic not in known:
                raise UsageError(
                    f"the topic is not on the broker at {bootstrap}", hint="mevflow topics create", topic=topic
                )
            return {
                part: client.get_watermark_offsets(TopicPartition(topic, part), timeout=1.0)
                for part in known[topic].partitions
            }
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{topic} could not be read at {bootstrap} within {seconds:g} s", hint="mevflow broker status"
                ) from error
            time.sleep(_AGAIN_S)
