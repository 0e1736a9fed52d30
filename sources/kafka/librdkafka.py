"""librdkafka's consumer: the few functions that read messages without making a Python object of each."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

from mevflow.kafka.librdkafka import POINTER, TEXT, client, configuration, load
from mevflow.operators.errors import MevflowError

CONSUMER = 1
DESTROY_WITHOUT_CLOSE = 0x8
PARTITION_EOF = -191

_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_destroy_flags": (None, [POINTER, ctypes.c_int]),
    "rd_kafka_topic_partition_list_new": (POINTER, [ctypes.c_int]),
    "rd_kafka_topic_partition_list_add": (POINTER, [POINTER, TEXT, ctypes.c_int32]),
    "rd_kafka_topic_partition_list_set_offset": (
        ctypes.c_int,
        [POINTER, TEXT, ctypes.c_int32, ctypes.c_int64],
    ),
    "rd_kafka_topic_partition_list_destroy": (None, [POINTER]),
    "rd_kafka_incremental_assign": (POINTER, [POINTER, POINTER]),
    "rd_kafka_incremental_unassign": (POINTER, [POINTER, POINTER]),
    "rd_kafka_error_string": (TEXT, [POINTER]),
    "rd_kafka_error_destroy": (None, [POINTER]),
    "rd_kafka_queue_get_partition": (POINTER, [POINTER, TEXT, ctypes.c_int32]),
    "rd_kafka_queue_forward": (None, [POINTER, POINTER]),
    "rd_kafka_queue_destroy": (None, [POINTER]),
    "rd_kafka_consume_batch_queue": (
        ctypes.c_ssize_t,
        [POINTER, ctypes.c_int, POINTER, ctypes.c_size_t],
    ),
    "rd_kafka_get_watermark_offsets": (
        ctypes.c_int,
        [POINTER, TEXT, ctypes.c_int32, POINTER, POINTER],
    ),
}


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library with its prototypes, or None when it cannot be had."""
    return load(_PROTOTYPES)


def new_consumer(lib: ctypes.CDLL, settings: Mapping[str, str | int | bool]) -> int:
    """A consumer handle. Raises MevflowError for a setting that librdkafka does not take."""
    return client(lib, CONSUMER, configuration(lib, settings))


def assign(lib: ctypes.CDLL, handle: int, topic: str, positions: Mapping[int, int]) -> None:
    """Also read ``topic`` at the given offsets. Raises MevflowError."""
    _change(lib, lib.rd_kafka_incremental_assign, handle, topic, positions)


def unassign(lib: ctypes.CDLL, handle: int, topic: str, partition: int) -> None:
    """No longer read a partition; what was fetched of it is dropped. Raises MevflowError."""
    _change(lib, lib.rd_kafka_incremental_unassign, handle, topic, {partition: 0})


def _change(lib: ctypes.CDLL, call: Any, handle: int, topic: str, positions: Mapping[int, int]) -> None:
    places = lib.rd_kafka_topic_partition_list_new(len(positions))
    for partition, offset in positions.items():
        lib.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
        lib.rd_kafka_topic_partition_list_set_offset(places, topic.encode(), partition, offset)
    error = call(handle, places)
    lib.rd_kafka_topic_partition_list_destroy(places)
    if error:
        said = lib.rd_kafka_error_string(error).decode()
        lib.rd_kafka_error_destroy(error)
        raise MevflowError(f"cannot read the topic: {said}", topic=topic)
