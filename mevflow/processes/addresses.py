"""Addresses of processes on this machine: whether only it reaches one, and a port for a temporary one."""

from __future__ import annotations

import ipaddress
import random
import socket
from contextlib import suppress

#: Below what the kernel gives to outgoing connections: a client that retries a dead server must not meet itself, and
#: no connection takes a port between its choice and its use.
_LOWEST, _ABOVE = 20_000, 32_000


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, in brackets or not) can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def free_port(host: str = "127.0.0.1") -> int:
    """A port of ``host`` that nothing listens on now, chosen at random: two who choose at once rarely meet."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(_LOWEST, _ABOVE)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe, suppress(OSError):
            probe.bind((host, port))
            return port
