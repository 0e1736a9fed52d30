"""What of a topic is read, and where that begins: for a page and for a stream alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mevflow.flows.messages.look import MessageFilter
from mevflow.kafka.topics import listing, offsets_for_times


@dataclass(frozen=True, slots=True)
class TopicReading:
    """Rows of ``topic`` that pass ``by``, of ``partitions`` (None: all).

    Where it begins, the first that is given counts: ``places`` (next offset by partition), ``from_us`` (chain time),
    ``start`` (``earliest``, or the end).
    """

    topic: str
    by: MessageFilter = field(default_factory=MessageFilter)
    places: Mapping[int, int] | None = None
    from_us: int | None = None
    start: str = "newest"
    partitions: frozenset[int] | None = None

    def wants(self, partition: int) -> bool:
        """Whether a partition is read."""
        return self.partitions is None or partition in self.partitions

    def ends(self, bootstrap: str) -> dict[int, tuple[int, int]]:
        """First and next offset of all partitions. Raises UsageError (no such topic), UnreachableError."""
        return listing(bootstrap, [self.topic])[0].ends

    def starts(self, bootstrap: str, ends: Mapping[int, tuple[int, int]], back: int) -> dict[int, int]:
        """Where each partition of ``ends`` begins; from the end, ``back`` records before it."""
        if self.places is not None:
            # What the log has lost meanwhile is passed; what it does not have yet is waited for.
            return {p: min(max(self.places.get(p, first), first), stop) for p, (first, stop) in ends.items()}
        if self.from_us is not None:
            found = offsets_for_times(bootstrap, self.topic, self.from_us, None)
            return {partition: found[partition][0] for partition in ends}
        if self.start == "earliest":
            return {partition: first for partition, (first, _) in ends.items()}
        return {partition: max(first, stop - back) for partition, (first, stop) in ends.items()}
