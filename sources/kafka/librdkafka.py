"""librdkafka itself, by ctypes: the few functions that read messages without making a Python object of each.

The confluent_kafka wheel ships the library; a source build links the system's. Both are found by what the
extension module has loaded into this process, so there is never a second copy of it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import confluent_kafka

from mevflow.operators.errors import MevflowError

CONSUMER = 1
DESTROY_WITHOUT_CLOSE = 0x8
PARTITION_EOF = -191

_POINTER = ctypes.c_void_p
_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (
        ctypes.c_int,
        [_POINTER, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t],
    ),
    "rd_kafka_new": (_POINTER, [ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_destroy_flags": (None, [_POINTER, ctypes.c_int]),
    "rd_kafka_poll": (ctypes.c_int, [_POINTER, ctypes.c_int]),
    "rd_kafka_err2str": (ctypes.c_char_p, [ctypes.c_int]),
    "rd_kafka_topic_partition_list_new": (_POINTER, [ctypes.c_int]),
    "rd_kafka_topic_partition_list_add": (_POINTER, [_POINTER, ctypes.c_char_p, ctypes.c_int32]),
    "rd_kafka_topic_partition_list_set_offset": (
        ctypes.c_int,
        [_POINTER, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64],
    ),
    "rd_kafka_topic_partition_list_destroy": (None, [_POINTER]),
    "rd_kafka_incremental_assign": (_POINTER, [_POINTER, _POINTER]),
    "rd_kafka_incremental_unassign": (_POINTER, [_POINTER, _POINTER]),
    "rd_kafka_error_string": (ctypes.c_char_p, [_POINTER]),
    "rd_kafka_error_destroy": (None, [_POINTER]),
    "rd_kafka_queue_get_partition": (_POINTER, [_POINTER, ctypes.c_char_p, ctypes.c_int32]),
    "rd_kafka_queue_forward": (None, [_POINTER, _POINTER]),
    "rd_kafka_queue_destroy": (None, [_POINTER]),
    "rd_kafka_consume_batch_queue": (
        ctypes.c_ssize_t,
        [_POINTER, ctypes.c_int, _POINTER, ctypes.c_size_t],
    ),
    "rd_kafka_get_watermark_offsets": (
        ctypes.c_int,
        [_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, _POINTER],
    ),
}


def _candidates() -> list[Path]:
    """Where the library may be: beside the wheel, or whatever this process has mapped."""
    package = Path(confluent_kafka.__file__).parent
    found = sorted(package.with_name("confluent_kafka.libs").glob("librdkafka*.so*"))
    found += sorted((package / ".dylibs").glob("librdkafka*.dylib"))
    try:
        mapped = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        mapped = []
    return found + sorted({Path(line.split()[-1]) for line in mapped if "librdkafka" in line})


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library with its prototypes, or None when it cannot be had."""
    for path in _candidates():
        try:
            lib = ctypes.CDLL(str(path))
            for name, (result, arguments) in _PROTOTYPES.items():
                function = getattr(lib, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return lib
    return None


def new_consumer(lib: ctypes.CDLL, settings: Mapping[str, str | int | bool]) -> int:
    """A consumer handle. Raises MevflowError for a setting that librdkafka does not take."""
    said = ctypes.create_string_buffer(512)
    conf = lib.rd_kafka_conf_new()
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if lib.rd_kafka_conf_set(conf, name.encode(), text.encode(), said, len(said)) != 0:
            raise MevflowError(f"librdkafka does not take {name}={value}: {said.value.decode()}", key=name)
    handle = lib.rd_kafka_new(CONSUMER, conf, said, len(said))
    if not handle:
        raise MevflowError(f"librdkafka cannot start: {said.value.decode()}")
    return int(handle)


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
