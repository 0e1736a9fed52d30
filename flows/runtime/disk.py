"""Wait for room on the disk: the recovery store does not survive a write that finds none, so none is begun."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: An epoch's snapshots are appended to the recovery store's log: so much must be free before one is closed.
ROOM_BYTES = 512 * 1024
_LOOK_S = 0.1


def wait_for_room(folder: Path, need_bytes: int = ROOM_BYTES) -> None:
    """Return once ``folder``'s disk has ``need_bytes`` free. The whole shard stands still meanwhile."""
    while _free_bytes(folder) < need_bytes:
        time.sleep(_LOOK_S)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
