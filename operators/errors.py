"""The one root of every error that mevflow raises on purpose.

Errors inside the stream are values (rows of an ``errors`` port); these are for everything outside it.
A message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class MevflowError(Exception):
    """What went wrong (``message``), what to do (``hint``) and where (the other fields)."""

    message: str
    hint: str = ""
    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    key: str = ""
    file: str = ""
    line: int | None = None

    exit_code = 1

    @property
    def where(self) -> str:
        """The coordinates as people write them: ``topic[partition]@offset`` or ``file:line``."""
        if self.file:
            place = self.file if self.line is None else f"{self.file}:{self.line}"
            return f"{place} ({self.key})" if self.key else place
        if self.topic:
            part = "" if self.partition is None else f"[{self.partition}]"
            at = "" if self.offset is None else f"@{self.offset}"
            return f"{self.topic}{part}{at}"
        return self.key

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  try: {self.hint}" if self.hint else text


class UsageError(MevflowError):
    """The command, the settings or the topology file is wrong."""

    exit_code = 2


class UnreachableError(MevflowError):
    """A broker, an engine or a service does not answer."""

    exit_code = 3


class CheckFailedError(MevflowError):
    """A check ran and found that something is not as it should be."""

    exit_code = 4


class StateError(MevflowError):
    """A snapshot, an offset or a recovery store does not fit what is running."""
