"""librdkafka's producer: the few functions that send messages without a Python object of each."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from mevflow.kafka.librdkafka import POINTER, TEXT, client, configuration, load

_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_conf_set_opaque": (None, [POINTER, POINTER]),
    "rd_kafka_conf_set_dr_msg_cb": (None, [POINTER, POINTER]),
    "rd_kafka_topic_new": (POINTER, [POINTER, TEXT, POINTER]),
    "rd_kafka_topic_destroy": (None, [POINTER]),
    "rd_kafka_destroy": (None, [POINTER]),
    "rd_kafka_flush": (ctypes.c_int, [POINTER, ctypes.c_int]),
    "rd_kafka_outq_len": (ctypes.c_int, [POINTER]),
}
_PRODUCER = 0
QUEUE_FULL = -184


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library with its prototypes, or None when it cannot be had."""
    return load(_PROTOTYPES)


def new_producer(lib: ctypes.CDLL, settings: Mapping[str, Any], delivered: int, failure: np.ndarray) -> int:
    """A producer handle that calls ``delivered`` (a C address) for what was not taken, with ``failure`` as its opaque.

    ``failure`` must outlive the handle. Raises MevflowError for a setting that librdkafka does not take.
    """
    conf = configuration(lib, settings)
    lib.rd_kafka_conf_set_opaque(conf, failure.ctypes.data)
    lib.rd_kafka_conf_set_dr_msg_cb(conf, delivered)
    return client(lib, _PRODUCER, conf)
