"""Bytes that topics keep. Time never deletes: records bear chain time, which may be years ago."""

from __future__ import annotations

from mevflow.flows.retention import RetentionChange
from mevflow.kafka.topics import TOPICS, keep, settings_of
from mevflow.operators.errors import UsageError

_MIB = 1 << 20


def changes(bootstrap: str, mib: dict[str, int]) -> list[RetentionChange]:
    """What has to be changed so that each partition keeps its MiB.

    Raises UsageError for a topic that is not ours, is compacted or not there; UnreachableError.
    """
    bounded = {spec.name for spec in TOPICS if not spec.compacted}
    unknown = sorted(mib.keys() - bounded)
    if unknown:
        raise UsageError(
            f"cannot be bounded by bytes: {', '.join(unknown)}",
            hint=f"topics: {', '.join(sorted(bounded))}",
            key="retention.topics",
        )
    there = settings_of(bootstrap, sorted(mib)) if mib else {}
    found = []
    for name, wanted in sorted(mib.items()):
        if name not in there:
            raise UsageError("the topic is not on the broker", hint="mevflow topics create", topic=name)
        partitions, settings = there[name]
        now = int(settings.get("retention.bytes", "-1"))
        if now != wanted * _MIB:
            effect = f"{partitions} partitions: at most {wanted * partitions:,} MiB in all"
            found.append(RetentionChange("topic", name, _words(now), f"{wanted:,} MiB", effect))
    return found


def apply(bootstrap: str, name: str, mib: int) -> None:
    """Let each partition of a topic keep so many MiB from now on. Raises UnreachableError."""
    keep(bootstrap, name, mib * _MIB)


def _words(size: int) -> str:
    return "for ever" if size < 0 else f"{size / _MIB:,.0f} MiB"
