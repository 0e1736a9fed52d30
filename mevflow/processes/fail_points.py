"""Places between two steps of a protocol at which a test may have the process die, as by ``kill -9``.

``MEVFLOW_FAIL_POINT=NAME`` or ``NAME:COUNT`` is read when this module is imported: the process kills itself when it
comes to the place ``NAME`` for the ``COUNT``-th time. Without it a place is a call that returns, once a step and
never once a row. The tables of :mod:`mevflow.sinks.clickhouse.sink` and :mod:`mevflow.flows.runtime.shard` name them.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "MEVFLOW_FAIL_POINT"


def _nowhere(place: str) -> None:
    """No test asks for a death."""


class _Death:
    """Counts down the times that the process may still pass ``place``."""

    def __init__(self, place: str, count: int) -> None:
        self._place, self._left = place, count

    def __call__(self, place: str) -> None:
        if place == self._place:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


_place, _, _count = os.environ.get(VARIABLE, "").partition(":")
#: Called with its name at each place.
passed = _Death(_place, int(_count or 1)) if _place else _nowhere
