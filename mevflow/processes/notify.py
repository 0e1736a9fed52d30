"""Tell the service manager how a process is (sd_notify): nothing happens where none asked for it.

systemd gives a datagram socket in ``NOTIFY_SOCKET`` and, where it watches, how often it wants to hear in
``WATCHDOG_USEC``. See sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(*words: str) -> bool:
    """Send states (``READY=1``, ``STATUS=…``). False when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address[0] == "@":  # an abstract one
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto("\n".join(words).encode(), address)
    except OSError:
        return False
    return True


class Watchdog:
    """Says that a loop goes round, twice as often as is asked for."""

    def __init__(self) -> None:
        asked_s = 0.0
        with contextlib.suppress(ValueError):
            asked_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._pause_s = asked_s / 2 if mine else 0.0
        self._due = 0.0

    def beat(self) -> None:
        """To be called in every round."""
        now = time.monotonic()
        if self._pause_s and now >= self._due:
            self._due = now + self._pause_s
            notify("WATCHDOG=1")
