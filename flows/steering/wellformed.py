"""What a command must be to be looked at: records that could not be answered are left out where they are read."""

from __future__ import annotations

from mevflow.v1.control_pb2 import ControlCommand

MAX_VERSION = 1 << 62
_MAX_NAME = 256
_NAMES = ("command_id", "topology", "kind", "target", "issuer", "rolled_back_from")


def fault_of(command: ControlCommand) -> str:
    """What is wrong with it; empty when nothing is."""
    for name in _NAMES:
        if len(getattr(command, name)) > _MAX_NAME:
            return f"{name} has more than {_MAX_NAME} characters"
    if len(command.nonce) > _MAX_NAME:
        return f"nonce has more than {_MAX_NAME} bytes"
    if command.version >= MAX_VERSION:
        return f"version is {command.version}"
    return ""
