"""A shard's second thread: while the stages are busy with one poll of a source, the next is decoded.

Bytewax takes one item after the other through the whole graph, in one thread. Most of a decoder's work is compiled and
leaves the interpreter free, so it goes on beside that of the stages behind it. What is read ahead is not given yet: it
is in no snapshot, and a crash reads it again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa

from mevflow.operators.stage import Stage
from mevflow.processes.fail_points import passed
from mevflow.sources.source import Poll, Source

#: Polls of a source that are not given yet: one that is being decoded, one that is ready.
_MOST = 2
#: Smaller batches are decoded where they are needed: handing them over would cost more, and they would come later.
_WORTH_ROWS = 2_048


class WorkedAhead(NamedTuple):
    """What a stage made of a batch, and the seconds that it took."""

    outputs: list[tuple[str, pa.RecordBatch]]
    seconds: float


class AheadStage:
    """A stateless stage in a thread of its own. ``node`` is the one that takes what it makes, on input ``port``."""

    def __init__(self, make: Callable[[], Stage], node: str, port: str) -> None:
        self._make, self.node, self._port = make, node, port
        self._stage: Stage | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{node}-ahead")

    def begin(self, batch: pa.RecordBatch) -> Future[WorkedAhead]:
        """Start on a batch once those before it are done."""
        if self._stage is None:
            self._stage = self._make()
        return self._thread.submit(self._work, self._stage, batch)

    def _work(self, stage: Stage, batch: pa.RecordBatch) -> WorkedAhead:
        began = time.perf_counter()
        outputs = list(stage.process(self._port, batch))
        return WorkedAhead(outputs, time.perf_counter() - began)

    def close(self) -> None:
        """End the thread; what has not begun is left undone."""
        self._thread.shutdown(cancel_futures=True)


class PolledAhead(NamedTuple):
    """A poll, and what is begun of each of its batches. ``before`` is where the source stood before it, if held."""

    before: bytes
    poll: Poll
    begun: list[Future[WorkedAhead] | None]


class ReadAhead:
    """Polls of ``source`` in order, of which ``stage`` begins on the larger ones before they are given."""

    def __init__(self, source: Source, stage: AheadStage | None) -> None:
        self._source, self._stage = source, stage
        self._held: deque[PolledAhead] = deque()
        self._ended = False
        self._fault: Exception | None = None

    def take(self) -> PolledAhead | None:
        """The next poll; None when there is nothing. Raises what the source raised, after all that it gave before."""
        while len(self._held) < _MOST and not self._ended and self._fault is None:
            before = self._source.snapshot() if self._held else b""
            try:
                poll = self._source.poll()
            except Exception as error:
                self._fault = error
                break
            self._ended = poll.ended
            if not poll.batches and poll.watermark is None and not poll.ended:
                break
            begun = [self._begin(port, batch) for port, batch in poll.batches]
            self._held.append(PolledAhead(before, poll, begun))
            if not any(begun):
                break
        if len(self._held) > 1:
            passed("read ahead")
        if self._held:
            return self._held.popleft()
        if self._fault is not None:
            raise self._fault
        return None

    def _begin(self, port: str, batch: pa.RecordBatch) -> Future[WorkedAhead] | None:
        if self._stage is None or port != "out" or batch.num_rows < _WORTH_ROWS:
            return None
        return self._stage.begin(batch)

    @property
    def rows(self) -> int:
        """Rows that were read and not given."""
        return sum(batch.num_rows for held in self._held for _, batch in held.poll.batches)

    def snapshot(self) -> bytes:
        """Where the source stood after the last poll that was given."""
        return self._held[0].before if self._held else self._source.snapshot()

    def close(self) -> None:
        """Let go of the thread."""
        if self._stage is not None:
            self._stage.close()
