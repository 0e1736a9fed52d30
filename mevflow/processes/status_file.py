"""Files that tell readers how a process is: replaced as a whole, and never a reason to die."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mevflow.processes.private import write_private


def write_status(path: Path, fields: Any) -> bool:
    """Replace ``path``. False when the disk did not take it: the former content stays, the next write tries again."""
    try:
        write_private(path, msgspec.json.encode(fields))
    except OSError:
        return False
    return True


def read_status(path: Path) -> dict[str, Any]:
    """What a status file says; empty when there is none that can be read."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}
