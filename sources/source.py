"""The contract of a source: poll columnar batches, say how far time has come, resume where it stood.

Sources know nothing of Bytewax; ``flows`` wraps them. One source object runs in one shard and reads all of
its partitions, so that it can keep them aligned in chain time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic

import pyarrow as pa

from mevflow.operators.errors import StateError
from mevflow.operators.stage import Settings, SettingsT, StageContext, Watermark


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll gave: batches by output port, and the watermark after them.

    ``ended`` is True once a bounded source has given everything; it is not polled again.
    """

    batches: list[tuple[str, pa.RecordBatch]] = field(default_factory=list)
    watermark: Watermark | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Records of one partition that may be read and were not given yet."""

    topic: str
    partition: int
    records: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a source stands, for the shard's status.

    ``behind`` counts rows that may be read and were not given yet. ``caught_up`` says whether that was verified against
    the other side (None: the source cannot verify it). ``notes`` tell what is out of order. ``partitions`` is
    ``behind`` by partition, of a source that has them.
    """

    behind: int = 0
    caught_up: bool | None = None
    notes: tuple[str, ...] = ()
    partitions: tuple[PartitionLag, ...] = ()


class Source(Generic[SettingsT]):
    """Base of every source; see :class:`mevflow.operators.stage.Stage` for the class attributes."""

    use: ClassVar[str]
    summary: ClassVar[str] = ""
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: SettingsT, context: StageContext) -> None:
        self.settings = settings
        self.context = context

    @classmethod
    def output_schemas(cls, settings: SettingsT) -> Mapping[str, pa.Schema]:
        """Port -> schema that it emits."""
        raise NotImplementedError

    @classmethod
    def collects(cls, settings: SettingsT) -> str:
        """What it brings from outside Kafka, by a name that another one of the same has: two would double it.

        Empty: nothing that could be brought twice.
        """
        return ""

    @classmethod
    def divide(cls, states: Sequence[bytes], shards: int) -> list[bytes]:
        """Snapshots of all shards as those of another number of shards. Raises StateError when that cannot be."""
        raise StateError(f"the position of {cls.use} is of {len(states)} shards, and cannot be split or joined")

    def open(self, state: bytes | None) -> None:
        """Connect, and go to ``state`` (an earlier snapshot) or to the configured start."""

    def poll(self) -> Poll:
        """Give what is there, waiting a few milliseconds at most."""
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """The position after everything that ``poll`` has given so far."""
        raise NotImplementedError

    def behind(self) -> int:
        """How many rows the source knows of that it has not given yet."""
        return 0

    def standing(self) -> Standing:
        """Where the source stands now."""
        return Standing(self.behind())

    def committed(self, state: bytes) -> None:
        """``state`` (an earlier snapshot) is durable: publish the offsets for lag tools."""

    def close(self) -> None:
        """Let go of connections."""
