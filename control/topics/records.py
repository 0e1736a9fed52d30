"""Records of the control topics, which anyone may write who may write to Kafka.

What is no record, or says what none of ours would, is counted and left out, alone: the others of its batch are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from google.protobuf.message import DecodeError, Message

M = TypeVar("M", bound=Message)

#: More bytes than any record of ours has: a command may hold a policy, and its audit the command.
_MAX_BYTES, _MAX_ANSWER_BYTES = 1 << 20, 32 << 10
_ANSWERS = ("ControlAck", "Heartbeat")

log = structlog.get_logger("mevflow.control")


class Records:
    """``read`` and ``take``; ``bad`` counts by topic what was left out."""

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()

    def read(self, kind: type[M], value: bytes) -> M:
        """A record. Raises ValueError for what is none, and for a number where a name of an enum should be."""
        if len(value) > (_MAX_ANSWER_BYTES if kind.DESCRIPTOR.name in _ANSWERS else _MAX_BYTES):
            raise ValueError(f"{len(value):,} bytes")
        try:
            message = kind.FromString(value)
        except DecodeError as error:
            raise ValueError(str(error)) from None
        for field, given in message.ListFields():
            if field.enum_type is not None and given not in field.enum_type.values_by_number:
                raise ValueError(f"{field.name} is {given}")
        return message

    def take(self, topic: str, partition: int, offset: int, work: Callable[[], Any]) -> bool:
        """Do something with one record; False when it could not be done, which is logged and counted."""
        try:
            work()
        except Exception as error:
            self.bad[topic] += 1
            if self.bad[topic].bit_count() == 1:  # the first, second, fourth, eighth …
                log.warning(
                    "bad_record", at=f"{topic}[{partition}]@{offset}", why=str(error)[:200], so_far=self.bad[topic]
                )
            return False
        return True
