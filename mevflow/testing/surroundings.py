"""A run with the surroundings changed: another clock, no file, no socket, and random numbers watched."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from mevflow.testing.errors import ContractBroken, demand

_YEARS_S = 10 * 365 * 86_400
_CLOCKS_S = ("time", "monotonic", "perf_counter")
_CLOCKS_NS = ("time_ns", "monotonic_ns", "perf_counter_ns")
_FORBIDDEN = ("open", "socket.__new__", "socket.connect", "subprocess.Popen", "os.system")
#: The generator behind the functions of ``random``, which all threads share.
_GLOBAL = random.random.__self__  # type: ignore[attr-defined]
#: What was seen, and the thread that is watched: others of the process do as they like.
_watched: list[tuple[int, list[str]]] = []
_hooked = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in _FORBIDDEN and _watched[-1][0] == threading.get_ident():
        _watched[-1][1].append(f"{event} {arguments[0]!r}")


@contextmanager
def changed_surroundings() -> Iterator[None]:
    """Within the block clocks stand ten years ahead. Raises ContractBroken for I/O and for global random numbers.

    Where the process has other threads, what compiled code of the part draws of Python's numbers is not seen, and what
    those threads draw of numpy's counts as the part's.

    A clock that decides shows itself by another output than under the true one. Run the part once before: what it
    imports and compiles at first use is no I/O of its own.
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)  # for good: a hook cannot be taken away
        _hooked = True
    kept = {name: getattr(time, name) for name in (*_CLOCKS_S, *_CLOCKS_NS)}
    python, numpy = random.getstate(), _numpy_state()
    drawn: list[bool] = []
    crowded, profile = threading.active_count() > 1, sys.getprofile()
    if crowded:  # the generator may move without this thread: its own calls tell
        sys.setprofile(lambda frame, event, of: drawn.append(True) if _draws(frame, event, of) else None)
    events: list[str] = []
    here = threading.get_ident()
    for name, real in kept.items():
        later = _YEARS_S if name in _CLOCKS_S else _YEARS_S * 10**9
        setattr(time, name, lambda real=real, later=later: real() + later * (threading.get_ident() == here))
    watched = here, events
    _watched.append(watched)
    try:
        yield
    finally:
        if crowded:
            sys.setprofile(profile)
        _watched.remove(watched)
        for name, real in kept.items():
            setattr(time, name, real)
    moved = bool(drawn) if crowded else random.getstate() != python
    demand(not moved, "it draws from Python's global random numbers: seed a generator of your own")
    demand(_numpy_state() == numpy, "it draws from numpy's global random numbers: seed a generator of your own")
    if events:
        raise ContractBroken(f"it does I/O: {events[0]}")


def _draws(frame: FrameType, event: str, of: Any) -> bool:
    """Whether the global generator is called: its built-in methods, and those written in Python."""
    if event == "c_call":
        return getattr(of, "__self__", None) is _GLOBAL
    return event == "call" and frame.f_code.co_filename == random.__file__ and frame.f_locals.get("self") is _GLOBAL


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return (name, np.asarray(keys).tobytes(), *rest)
