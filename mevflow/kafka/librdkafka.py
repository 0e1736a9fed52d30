"""librdkafka itself, by ctypes: the library that confluent_kafka has loaded, and settings for one of its clients.

The confluent_kafka wheel ships the library; a source build links the system's. Both are found by what the extension
module has loaded into this process, so there is never a second copy of it. Which functions are called, and with what,
is said by the reader (``sources.kafka``) and the writer (``sinks.kafka``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import confluent_kafka

from mevflow.operators.errors import MevflowError

POINTER, TEXT = ctypes.c_void_p, ctypes.c_char_p
#: Function -> (type of the result, types of the arguments).
Prototypes = Mapping[str, tuple[object, list[object]]]
#: What every client needs.
CLIENT: dict[str, tuple[object, list[object]]] = {
    "rd_kafka_conf_new": (POINTER, []),
    "rd_kafka_conf_set": (ctypes.c_int, [POINTER, TEXT, TEXT, TEXT, ctypes.c_size_t]),
    "rd_kafka_new": (POINTER, [ctypes.c_int, POINTER, TEXT, ctypes.c_size_t]),
    "rd_kafka_poll": (ctypes.c_int, [POINTER, ctypes.c_int]),
    "rd_kafka_err2str": (TEXT, [ctypes.c_int]),
}


def load(prototypes: Prototypes) -> ctypes.CDLL | None:
    """The library with CLIENT and ``prototypes`` declared, or None when it cannot be had."""
    for path in _candidates():
        try:
            lib = ctypes.CDLL(str(path))
            for name, (result, arguments) in {**CLIENT, **prototypes}.items():
                function = getattr(lib, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return lib
    return None


def configuration(lib: ctypes.CDLL, settings: Mapping[str, Any]) -> int:
    """A configuration for :func:`client`. Raises MevflowError for a setting that librdkafka does not take."""
    said = ctypes.create_string_buffer(512)
    conf = lib.rd_kafka_conf_new()
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if lib.rd_kafka_conf_set(conf, name.encode(), text.encode(), said, len(said)) != 0:
            shown = "…" if "password" in name else value
            raise MevflowError(f"librdkafka does not take {name}={shown}: {said.value.decode()}", key=name)
    return int(conf)


def client(lib: ctypes.CDLL, kind: int, conf: int) -> int:
    """The handle of a producer (0) or a consumer (1), which owns ``conf`` from now on. Raises MevflowError."""
    said = ctypes.create_string_buffer(512)
    handle = lib.rd_kafka_new(kind, conf, said, len(said))
    if not handle:
        raise MevflowError(f"librdkafka cannot start: {said.value.decode()}")
    return int(handle)


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
