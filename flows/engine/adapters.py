"""Sources, stages and sinks as Bytewax sees them.

What travels between two Bytewax steps is an :class:`Envelope`: a batch on a port, a watermark, or a nudge that makes
stages look for commands. One worker runs a whole shard, so an envelope is handed over by reference and a batch of any
size costs the engine one item.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from mevflow.flows.engine.ahead import AheadStage, ReadAhead, WorkedAhead
from mevflow.flows.engine.meter import Meter
from mevflow.flows.steering.progress import SteeringProgress
from mevflow.flows.steering.recorded import RecordedCommand, RecordedCommands
from mevflow.flows.steering.steering import Steering
from mevflow.metrics.page import Page
from mevflow.operators.stage import Stage, Watermark
from mevflow.processes.fail_points import passed
from mevflow.processes.private import private_folder, write_private
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source, Standing

_KEY = "all"
#: How long a source that gave nothing is left alone: while anything flows, and at most.
_IDLE, _IDLE_MOST = timedelta(milliseconds=1), timedelta(milliseconds=8)
#: The part of the time for which nothing has flowed. A silent source beside one that flows holds its watermark back.
_IDLE_SHARE = 1 / 16


@dataclass(frozen=True, slots=True)
class Envelope:
    """One item of the dataflow. ``edge`` says which wire it came by; a watermark has no batch, a nudge neither.

    ``begun`` is what the node ``ahead`` is at work on, or has made, of the batch before it comes to it.
    """

    port: str
    batch: pa.RecordBatch | None = None
    watermark: Watermark | None = None
    edge: str = ""
    nudge: int = 0
    begun: Future[WorkedAhead] | None = None
    ahead: str = ""


class SourceAdapter(FixedPartitionedSource[Envelope, bytes]):
    """A source as one Bytewax partition: a poll a call, its position as the snapshot.

    When ``drain`` is set the source ends without a final watermark: a stop closes nothing that is open.
    While ``steering`` says so it is not polled. ``before_poll`` and ``before_snapshot`` may hold it up. ``ahead`` makes
    the stage that begins on what is read before it is given.
    """

    def __init__(
        self,
        make: Callable[[], Source],
        drain: threading.Event,
        meter: Meter,
        node: str,
        steering: Steering | None = None,
        before_poll: Callable[[], None] | None = None,
        before_snapshot: Callable[[], None] | None = None,
        ahead: Callable[[], AheadStage] | None = None,
    ) -> None:
        self._make, self._drain, self._meter, self._node, self._steering = make, drain, meter, node, steering
        self._before_poll, self._before_snapshot, self._ahead = before_poll, before_snapshot, ahead
        self.seed: bytes | None = None
        meter.expect(node)

    def list_parts(self) -> list[str]:
        return [_KEY]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _SourcePart:
        state = self.seed if resume_state is None else resume_state
        stage = None if self._ahead is None else self._ahead()
        part = _SourcePart(self._make(), state, self._drain, self._meter, self._node, self._steering, stage)
        part.before_poll, part.before_snapshot = self._before_poll, self._before_snapshot
        return part


class _SourcePart(StatefulSourcePartition[Envelope, bytes]):
    """Opens its source at the first poll, not when it is built: Bytewax times each source's epochs from there.

    Two sources whose epochs begin apart wait for each other at the end of every epoch, for as long as they are apart.
    """

    def __init__(
        self,
        source: Source,
        state: bytes | None,
        drain: threading.Event,
        meter: Meter,
        node: str,
        steering: Steering | None,
        stage: AheadStage | None,
    ) -> None:
        self.before_poll: Callable[[], None] | None = None
        self.before_snapshot: Callable[[], None] | None = None
        self._read, self._stage_node = ReadAhead(source, stage), "" if stage is None else stage.node
        self._source, self._state, self._drain, self._meter, self._node = source, state, drain, meter, node
        self._steering = steering
        self._nudged = 0
        self._open = self._ended = False
        self._wake: datetime | None = None
        self._last_snapshot: bytes | None = None

    def next_batch(self) -> Iterable[Envelope]:
        self._meter.tick(self._node, self._standing)
        if self.before_poll is not None:
            self.before_poll()
        if self._drain.is_set() or self._ended:
            raise StopIteration
        if not self._open:
            self._source.open(self._state)
            self._open = True
            self._meter.opened(self._node)
        items: list[Envelope] = []
        if self._steering is not None and self._steered(self._steering, items):
            return items
        with self._meter.busy(self._node):
            taken = self._read.take()
        rows = 0
        if taken is not None:
            poll = taken.poll
            self._ended = poll.ended
            if poll.ended and self._steering is not None:
                self._steering.source_passes(self._node, ended=True)
            for (port, batch), begun in zip(poll.batches, taken.begun, strict=True):
                rows += batch.num_rows
                self._meter.rows_out(self._node, batch.num_rows, port)
                self._meter.figures.gave(self._node, batch)
                items.append(Envelope(port, batch, begun=begun, ahead=self._stage_node))
            if poll.watermark is not None:
                items.append(Envelope("", watermark=poll.watermark))
                self._meter.watermark(self._node, poll.watermark.hold_us)
        self._wake = None if rows or self._ended else datetime.now(UTC) + self._pause()
        return items

    def _pause(self) -> timedelta:
        return min(max(_IDLE, timedelta(seconds=self._meter.quiet_s * _IDLE_SHARE)), _IDLE_MOST)

    def _standing(self) -> Standing:
        if not self._open:
            return Standing(caught_up=False)
        standing, held = self._source.standing(), self._read.rows
        return replace(standing, behind=standing.behind + held, caught_up=False) if held else standing

    def _steered(self, steering: Steering, items: list[Envelope]) -> bool:
        """Pass on that commands wait; True while the source is to be left alone."""
        if steering.nudge > self._nudged:
            self._nudged = steering.nudge
            items.append(Envelope("", nudge=self._nudged))
        steering.source_passes(self._node)
        self._wake = datetime.now(UTC) + _IDLE if steering.paused else None
        return steering.paused

    def next_awake(self) -> datetime | None:
        return self._wake

    def snapshot(self) -> bytes | None:  # type: ignore[override]
        if self.before_snapshot is not None:
            self.before_snapshot()
        if not self._open:
            return self._state
        # The snapshot before this one is durable by now: only that is told to the consumer group.
        self._meter.figures.epoch(self._node)
        with self._meter.snapshot(self._node) as made:
            if self._last_snapshot is not None:
                self._source.committed(self._last_snapshot)
            self._last_snapshot = self._read.snapshot()
            made.append(self._last_snapshot)
        passed("source snapshot")
        return self._last_snapshot

    def close(self) -> None:
        self._read.close()
        if self._open:
            self._source.close()


class StageLogic(StatefulBatchLogic[Envelope, Envelope, bytes]):
    """A stage as one keyed Bytewax logic. Watermarks of several wires are joined by their minimum.

    Commands come between two stretches of the stream: after a watermark, never between it and the batches before it.
    ``at_end``: where a bounded run leaves what the stage knows when its inputs have ended.
    """

    def __init__(
        self,
        stage: Stage,
        edges: dict[str, str],
        meter: Meter,
        resume_state: bytes | None,
        steering: Steering | None = None,
        recorded: list[RecordedCommand] | None = None,
        at_end: Path | None = None,
    ) -> None:
        self._at_end = at_end
        self._stage, self._meter, self._node = stage, meter, stage.context.node
        self._mail = None if steering is None else steering.mailbox(self._node)
        self._consumed = SteeringProgress() if steering is not None else None
        self._nudged = 0
        self._between = True
        self._edges = edges  # wire -> input port
        self._holds: dict[str, Watermark] = {}
        if resume_state is not None:
            stage.restore(resume_state)
        self._recorded = RecordedCommands(stage, recorded) if recorded else None
        meter.tellers.append(self._tell)

    def _tell(self, page: Page) -> None:
        for what, count in self._stage.counts().items():
            page.put("mevflow_stage_counts", count, stage=self._node, what=what)

    def on_batch(self, values: list[Envelope]) -> tuple[Iterable[Envelope], bool]:
        out: list[Envelope] = []
        with self._meter.busy(self._node, call=True):
            for item in values:
                self._between = self._between or bool(item.nudge)
                # A watermark comes once by every wire: the place is known when all of them have brought it.
                if self._mail and self._between and item.watermark is None and self._consumed is not None:
                    self._mail.drain(self._stage, self._consumed.position())
                if item.batch is not None:
                    self._between = False
                    self._take(out, item.port, item.batch, item.begun)
                elif item.watermark is not None:
                    self._progress(out, item.edge, item.watermark)
                    self._between = True
                elif item.nudge > self._nudged:  # it comes once by every way through the graph
                    self._nudged = item.nudge
                    out.append(item)
        return out, False

    def _take(self, out: list[Envelope], port: str, batch: pa.RecordBatch, begun: Future[WorkedAhead] | None) -> None:
        self._meter.rows_in(self._node, batch.num_rows)
        self._meter.figures.took(self._node, batch.num_rows)
        if self._consumed is not None:
            self._consumed.add(port, batch)
        if begun is not None and self._recorded is None:
            self._emit(out, self._finished(begun))
            return
        stage = self._stage if self._recorded is None else self._recorded
        self._emit(out, stage.process(port, batch))

    def _finished(self, begun: Future[WorkedAhead]) -> list[tuple[str, pa.RecordBatch]]:
        """What was worked out ahead. Waiting for it is no work, the other thread's seconds are."""
        began = time.perf_counter()
        made = begun.result()
        self._meter.worked(self._node, made.seconds - (time.perf_counter() - began))
        return made.outputs

    def _emit(self, out: list[Envelope], outputs: Iterable[tuple[str, pa.RecordBatch]]) -> None:
        for port, batch in outputs:
            if batch.num_rows:
                self._meter.emitted(self._node, port, batch)
                out.append(Envelope(port, batch))

    def _progress(self, out: list[Envelope], edge: str, watermark: Watermark) -> None:
        self._holds[edge] = watermark
        port = self._edges[edge]
        if self._recorded is None:
            self._emit(out, self._stage.on_watermark(port, self._of_port(port)))
        else:
            self._emit(out, self._recorded.progress(port, {each: self._of_port(each) for each in self._edges.values()}))
        joined = self._joined(lambda _: True)
        if self._consumed is not None:
            self._consumed.pass_to(joined.hold_us)
        out.append(Envelope("", watermark=joined))
        self._meter.watermark(self._node, joined.hold_us)

    def _of_port(self, port: str) -> Watermark:
        return self._joined(lambda edge: self._edges[edge] == port)

    def _joined(self, among: Callable[[str], bool]) -> Watermark:
        holds = [self._holds.get(edge, Watermark(0)) for edge in self._edges if among(edge)]
        return Watermark(min(h.hold_us for h in holds), all(h.final for h in holds))

    def on_eof(self) -> tuple[Iterable[Envelope], bool]:
        if self._at_end is not None:
            write_private(private_folder(self._at_end) / self._node, self._stage.snapshot())
        return (), False

    def snapshot(self) -> bytes:
        with self._meter.snapshot(self._node) as made:
            made.append(self._stage.snapshot())
        passed("stage snapshot")
        return made[0]


class SinkAdapter(FixedPartitionedSink[Envelope, bytes]):
    """A sink as one Bytewax partition; its snapshot is where what it was given becomes durable."""

    def __init__(self, make: Callable[[], Sink], meter: Meter, node: str) -> None:
        self._make, self._meter, self._node = make, meter, node
        self.seed: bytes | None = None
        meter.expect(node)

    def list_parts(self) -> list[str]:
        return [_KEY]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _SinkPart:
        sink = self._make()
        self._meter.tellers.append(sink.tell)
        sink.open(self.seed if resume_state is None else resume_state)
        self._meter.opened(self._node)
        return _SinkPart(sink, self._meter, self._node)


class _SinkPart(StatefulSinkPartition[Envelope, bytes]):
    def __init__(self, sink: Sink, meter: Meter, node: str) -> None:
        self._sink, self._meter, self._node = sink, meter, node
        self._rejected = 0

    def write_batch(self, items: list[Envelope]) -> None:
        with self._meter.busy(self._node, call=True):
            for item in items:
                if item.batch is not None:
                    self._meter.figures.took(self._node, item.batch.num_rows)
                    self._meter.rows_in(self._node, item.batch.num_rows)
                    self._sink.write(item.batch)
                elif item.watermark is not None:
                    self._sink.on_watermark(item.watermark)

    def snapshot(self) -> bytes:
        with self._meter.busy(self._node), self._meter.snapshot(self._node) as made:
            made.append(self._sink.snapshot())
        passed("sink given")
        # The sink counts since it opened, the meter takes what is new.
        fresh = self._sink.rejected - self._rejected
        if fresh:
            self._meter.rejected(self._node, fresh)
            self._meter.figures.refused(self._node, fresh)
        self._rejected = self._sink.rejected
        return made[0]

    def close(self) -> None:
        self._sink.close()


def keyed(item: Envelope) -> tuple[str, Envelope]:
    """Everything of a shard has one key: a stage's state is one thing."""
    return _KEY, item


def unkeyed(item: tuple[str, Any]) -> Any:
    """Undo :func:`keyed`."""
    return item[1]
