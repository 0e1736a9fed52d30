"""librdkafka's producer, by ctypes: the few functions that send messages without a Python object of each.

The library is the one that confluent_kafka has loaded; see also the reader's side in ``sources``, which this room
may not import.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np

from mevflow.operators.errors import MevflowError

_POINTER = ctypes.c_void_p
_TEXT = ctypes.c_char_p
_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (ctypes.c_int, [_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t]),
    "rd_kafka_conf_set_opaque": (None, [_POINTER, _POINTER]),
    "rd_kafka_conf_set_dr_msg_cb": (None, [_POINTER, _POINTER]),
    "rd_kafka_new": (_POINTER, [ctypes.c_int, _POINTER, _TEXT, ctypes.c_size_t]),
    "rd_kafka_topic_new": (_POINTER, [_POINTER, _TEXT, _POINTER]),
    "rd_kafka_topic_destroy": (None, [_POINTER]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_poll": (ctypes.c_int, [_POINTER, ctypes.c_int]),
    "rd_kafka_flush": (ctypes.c_int, [_POINTER, ctypes.c_int]),
    "rd_kafka_outq_len": (ctypes.c_int, [_POINTER]),
    "rd_kafka_err2str": (_TEXT, [ctypes.c_int]),
}
_PRODUCER = 0
QUEUE_FULL = -184


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library with its prototypes, or None when it cannot be had."""
    package = Path(confluent_kafka.__file__).parent
    found = sorted(package.with_name("confluent_kafka.libs").glob("librdkafka*.so*"))
    found += sorted((package / ".dylibs").glob("librdkafka*.dylib"))
    for path in found:
        try:
            lib = ctypes.CDLL(str(path))
            for name, (result, arguments) in _PROTOTYPES.items():
                function = getattr(lib, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return lib
    return None


def new_producer(lib: ctypes.CDLL, settings: Mapping[str, Any], delivered: int, failure: np.ndarray) -> int:
    """A producer handle that calls ``delivered`` (a C address) for what was not taken, with ``failure`` as its opaque.

    ``failure`` must outlive the handle. Raises MevflowError for a setting that librdkafka does not take.
    """
    said = ctypes.create_string_buffer(512)
    conf = lib.rd_kafka_conf_new()
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if lib.rd_kafka_conf_set(conf, name.encode(), text.encode(), said, len(said)) != 0:
            raise MevflowError(f"librdkafka does not take {name}={value}: {said.value.decode()}", key=name)
    lib.rd_kafka_conf_set_opaque(conf, failure.ctypes.data)
    lib.rd_kafka_conf_set_dr_msg_cb(conf, delivered)
    handle = lib.rd_kafka_new(_PRODUCER, conf, said, len(said))
    if not handle:
        raise MevflowError(f"librdkafka cannot start: {said.value.decode()}")
    return int(handle)
