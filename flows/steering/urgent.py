"""Threads that do not wait for their turn behind a busy dataflow, where the system lets a process ask for that."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NICE = -10


@contextmanager
def urgent() -> Iterator[None]:
    """Threads that are made inside are scheduled before others (Linux: niceness is a thread's, and is inherited).

    Without the right to it (CAP_SYS_NICE) they are threads like all others.
    """
    me = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, me)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, me, min(before, _NICE))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, me, before)
