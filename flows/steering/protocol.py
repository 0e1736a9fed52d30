"""What the control service and the shards agree on: topics, and the key of each kind of command.

``control-commands`` is compacted: the last record of a key is what is in force for it, so a key names one thing that
can be set: ``{topology}/{slot}/{target}``, with ``*`` for every topology. Kinds that undo each other share a slot.
"""

from __future__ import annotations

COMMANDS = "control-commands"
ACKS = "control-acks"
HEARTBEATS = "control-heartbeats"
AUDIT = "control-audit"

EVERY = "*"
PULSE = "pulse"
#: Status of the audit record that is written, with the whole command, before the command is sent.
ISSUED = "ISSUED"

#: Kind of command -> the slot of its key.
SLOTS = {
    "policy": "policy",
    "model": "model",
    "kill": "kill",
    "release": "kill",
    "pause": "run",
    "resume": "run",
    "log_level": "log_level",
    "snapshot": "snapshot",
    PULSE: PULSE,
}


def command_key(topology: str, kind: str, target: str) -> str:
    """The record key of a command; an empty topology is every one.

    >>> command_key("", "release", "")
    '*/kill/'
    """
    slot = SLOTS[kind]
    return PULSE if slot == PULSE else f"{topology or EVERY}/{slot}/{target}"


def heartbeat_key(topology: str, shard: int) -> str:
    """The record key of a shard's heartbeats."""
    return f"{topology}/{shard}"
