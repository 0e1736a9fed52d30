"""The contract of a sink: take batches, make them durable at a snapshot, know after a crash what is already there.

Sinks know nothing of Bytewax; ``flows`` wraps them. A batch says what it holds in its schema's metadata:
``batch.schema.metadata[b"message"]`` is the full protobuf name, so one sink can serve several edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic

import pyarrow as pa

from mevflow.metrics.page import Page
from mevflow.operators.stage import Settings, SettingsT, StageContext, Watermark


class Sink(Generic[SettingsT]):
    """Base of every sink; see :class:`mevflow.operators.stage.Stage` for the class attributes."""

    use: ClassVar[str]
    summary: ClassVar[str] = ""
    settings_type: ClassVar[type[Settings]] = Settings
    #: True for a sink that speaks to live readers: a replay leaves it out.
    live_only: ClassVar[bool] = False

    def __init__(self, settings: SettingsT, context: StageContext) -> None:
        self.settings = settings
        self.context = context
        #: Where a sink sends rows that it cannot keep: a sink of its own, not opened yet. None where there is none.
        self.dead_letters: Sink | None = None

    @property
    def rejected(self) -> int:
        """How many rows could not be kept since the sink opened."""
        return 0

    @classmethod
    def input_schemas(cls, settings: SettingsT) -> Mapping[str, pa.Schema | None]:
        """Port -> schema that it takes (None: any that ``accepts`` allows)."""
        return {"in": None}

    @classmethod
    def accepts(cls, settings: SettingsT, message: str) -> bool:
        """Whether batches of this protobuf message may be wired to the sink."""
        return True

    def beginning(self) -> bytes:
        """The state of a sink that has written nothing, asked and kept before the first :meth:`open`; b"": none.

        A crash before the first snapshot resumes from it.
        """
        return b""

    @classmethod
    def joined(cls, states: Sequence[bytes]) -> bytes:
        """The state that every shard resumes from after those of ``states`` became another number; b"": none."""
        return b""

    def open(self, state: bytes | None) -> None:
        """Connect; ``state`` is an earlier snapshot or the beginning, None where there is neither."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch. Blocks while the other side is slow (this is the backpressure)."""
        raise NotImplementedError

    def on_watermark(self, watermark: Watermark) -> None:
        """Progress, with nothing to write: a chance to send what lingers."""

    def snapshot(self) -> bytes:
        """Make everything written durable, then give the state to resume from."""
        return b""

    def tell(self, page: Page) -> None:
        """Put what the sink has to tell Prometheus. Called by another thread, from before ``open`` on."""

    def close(self) -> None:
        """Flush and let go of connections."""
