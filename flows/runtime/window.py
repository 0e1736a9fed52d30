"""A topology bounded to a window: sources that end, sinks behind the window, its rows kept as files.

Sinks that would speak to live readers (Kafka, WebSocket, dead letters) are left out. Rows go to the other sinks under
the run's id and, in a canonical order, to one Parquet file a message type: two runs over one window are equal to the
byte. Of a topology that has no other sinks, what those would have been given is kept in the files.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import ReplaySpec
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology, Wire
from mevflow.operators.codec import COORDINATES
from mevflow.operators.stage import Settings, StageContext
from mevflow.processes.private import private_folder
from mevflow.sinks.sink import Sink

#: Rows are ordered by the first of these columns that a message has; ties by its whole content.
_ORDER = (
    "chain",
    "timestamp_us",
    "slot",
    "tx_index",
    "ix_index",
    "ordinal",
    "decision_id",
    "opportunity_id",
    "kind",
    "arm",
)
#: What differs between two runs of one window.
_RUN_COLUMNS = ("run_id",)
#: What most topologies are fed, and store as well.
_INPUT = "mevflow.v1.Swap"
#: Envelopes around other results; they name the run inside.
_ENVELOPES = ("mevflow.v1.RealtimeMessage",)
#: No node of a file has a name that begins so.
_RECORDER = "_results"


@dataclasses.dataclass(frozen=True, slots=True)
class SlotWindow:
    """Slots ``first`` to before ``end`` (None: open) of a chain."""

    chain: int
    first: int | None
    end: int | None

    def holds(self, slots: np.ndarray) -> np.ndarray:
        """A mask of the slots (uint64) inside."""
        inside = np.ones(len(slots), np.bool_)
        if self.first is not None:
            inside &= slots >= np.uint64(self.first)
        if self.end is not None:
            inside &= slots < np.uint64(self.end)
        return inside


class WindowSettings(Settings):
    """The window in chain time or slots."""

    from_us: int | None
    to_us: int | None
    slots: tuple[int, int | None, int | None] | None = None

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that lie in the window."""
        if self.slots is not None and {"chain", "slot"} <= set(batch.schema.names):
            batch = _of_slots(batch, SlotWindow(*self.slots))
        time_us = batch.column("timestamp_us")
        inside: Any = pa.scalar(True)
        if self.from_us is not None:
            inside = pc.greater_equal(time_us, self.from_us)
        if self.to_us is not None:
            inside = pc.and_(inside, pc.less(time_us, self.to_us))
        return batch.filter(inside) if isinstance(inside, pa.Array) else batch


class PassSettings(WindowSettings):
    """``use`` and ``inner``: the sink that is stood for, and its settings."""

    use: str
    inner: dict[str, Any]


class WindowSink(Sink[PassSettings]):
    """Lets rows of the window through to the sink that it stands for."""

    use = "replay.window"
    summary = "The rows of a replay's window"
    settings_type = PassSettings

    def open(self, state: bytes | None) -> None:
        from mevflow.flows.spec import catalogue

        kind = catalogue.part(self.settings.use)
        assert issubclass(kind, Sink)
        self._inner: Sink = kind(kind.settings_type(**self.settings.inner), self.context)
        self._inner.open(None)

    def write(self, batch: pa.RecordBatch) -> None:
        kept = self.settings.of(batch)
        if kept.num_rows:
            self._inner.write(kept)

    def snapshot(self) -> bytes:
        return self._inner.snapshot()

    def close(self) -> None:
        self._inner.snapshot()
        self._inner.close()


class RecordSettings(WindowSettings):
    """``folder``: where the files are to be; ``not_results``: messages that are not kept."""

    folder: str
    not_results: tuple[str, ...]


class ResultRecorder(Sink[RecordSettings]):
    """Keeps the window's rows, each wire's once however many sinks take it, as one Parquet file a message."""

    use = "replay.results"
    summary = "The results of a replay's window as files"
    settings_type = RecordSettings

    def __init__(self, settings: RecordSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._rows: dict[str, list[pa.RecordBatch]] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        message = batch.schema.metadata[b"message"].decode()
        if message in self.settings.not_results:
            return
        kept = self.settings.of(batch)
        if kept.num_rows:
            self._rows.setdefault(message, []).append(kept)

    def close(self) -> None:
        folder = Path(self.settings.folder)
        private_folder(folder)
        for message, batches in self._rows.items():
            pq.write_table(canonical(batches), folder / f"{message.rpartition('.')[2]}.parquet", compression="zstd")


def _of_slots(batch: pa.RecordBatch, window: SlotWindow) -> pa.RecordBatch:
    inside = window.holds(batch.column("slot").to_numpy()) & (batch.column("chain").to_numpy() == window.chain)
    return batch.filter(pa.array(inside))


def canonical(batches: list[pa.RecordBatch]) -> pa.Table:
    """One table whatever the batches were: run columns dropped, rows in chain order, no metadata."""
    table = pa.Table.from_batches(batches).replace_schema_metadata(None)
    table = table.drop_columns([name for name in _RUN_COLUMNS if name in table.column_names])
    for index, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table.schema.field(name).type):
            table = table.set_column(index, name, table.column(name).cast(pa.utf8()))
    coordinates = [name for name in COORDINATES.names if name in table.column_names]
    keys = [name for name in (*_ORDER, *coordinates) if name in table.column_names]
    return table.sort_by([(key, "ascending") for key in keys]).combine_chunks()


def bounded(topology: ResolvedTopology, replay: ReplaySpec, layout: Layout) -> ResolvedTopology:
    """The topology as a replay runs it: sources with bounds, live-only sinks out, the others behind the window.

    What the others are given is kept in files; where there are none, what the live-only sinks would have been given.
    """
    nodes: list[ResolvedNode] = []
    for node in topology.nodes:
        if node.name in replay.bounds:
            bounds = replay.bounds[node.name]
            settings = node.settings.model_copy(update={"start_offsets": bounds.start, "stop_offsets": bounds.stop})
            nodes.append(dataclasses.replace(node, settings=settings))
        elif not node.is_sink:
            nodes.append(node)
        elif replay.to_clickhouse and stays(node):
            nodes.append(_window(node, replay))
    return dataclasses.replace(topology, nodes=(*nodes, _results_of(topology, replay, layout)))


def stays(node: ResolvedNode) -> bool:
    return issubclass(node.kind, Sink) and not node.kind.live_only


def _window(node: ResolvedNode, replay: ReplaySpec) -> ResolvedNode:
    settings = PassSettings(
        from_us=replay.from_us,
        to_us=replay.to_us,
        slots=replay.slots,
        use=node.kind.use,
        inner=node.settings.model_dump(),
    )
    return ResolvedNode(node.name, WindowSink, settings, node.wires)


def _results_of(topology: ResolvedTopology, replay: ReplaySpec, layout: Layout) -> ResolvedNode:
    """The recorder, on every wire that leads to a sink whose rows are results."""
    sinks = [node for node in topology.nodes if node.is_sink]
    kept = [node for node in sinks if stays(node)]
    settings = RecordSettings(
        from_us=replay.from_us,
        to_us=replay.to_us,
        slots=replay.slots,
        folder=str(layout.results),
        # A topology whose sinks all speak to live readers may give nothing but swaps.
        not_results=(*_ENVELOPES, *((_INPUT,) if kept else ())),
    )
    wires = dict.fromkeys(Wire(wire.source, wire.source_port, "in") for node in kept or sinks for wire in node.wires)
    return ResolvedNode(_RECORDER, ResultRecorder, settings, tuple(wires))
