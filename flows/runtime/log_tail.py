"""The end of what the shards of a topology wrote, and what came since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Bytes of one log that are read at once.
MAX_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line and the shard that wrote it."""

    shard: int
    text: str


def tail(
    root: Path, *, lines: int, after: Mapping[int, int] | None = None, text: str = "", shard: int | None = None
) -> tuple[list[LogLine], dict[int, int]]:
    """(lines, where each log goes on): the last ``lines`` of each shard, or what came since ``after`` (bytes).

    ``text``: only lines that hold it, whatever the case. A log that was made anew is read from its beginning; a line
    that is not ended yet is left for the next call.
    """
    found: list[LogLine] = []
    following: dict[int, int] = {}
    for path in sorted(root.glob("shard-*.log")):
        number = path.stem.removeprefix("shard-")
        if not number.isdigit() or shard not in (None, int(number)):
            continue
        size = path.stat().st_size
        known = None if after is None else after.get(int(number))
        start = max(0, size - MAX_BYTES) if known is None else known if known <= size else 0
        start = max(start, size - MAX_BYTES)
        with path.open("rb") as log:
            log.seek(start)
            data = log.read(size - start)
        end = data.rfind(b"\n") + 1
        following[int(number)] = start + end
        fresh = data[:end].decode(errors="replace").splitlines()
        if known is None:
            fresh = fresh[-lines:] if not text else fresh
        kept = [line for line in fresh if not text or text.lower() in line.lower()]
        found += [LogLine(int(number), line) for line in kept[-lines:]]
    return found, following
