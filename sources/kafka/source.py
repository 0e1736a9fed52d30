"""``kafka.source``: a topic's partitions as columnar batches, aligned in chain time, live or bounded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.kafka.security import reach
from mevflow.operators.codec import RAW
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.kafka.faults import Faults
from mevflow.sources.kafka.position import Positions, TopicClient, divide, own_partitions
from mevflow.sources.kafka.reader import KafkaRows, PartitionReader, open_reader
from mevflow.sources.kafka.settings import KafkaSourceSettings
from mevflow.sources.kafka.watch import TopicView, TopicWatch
from mevflow.sources.source import PartitionLag, Poll, Source, Standing

#: Rows taken from one partition before the next is chosen: small, so that partitions stay close in chain time.
_CHUNK = 1024
#: Rows that the others may go ahead while the partition that lags most waits for its fetch.
_MAX_AHEAD_ROWS = 100_000
#: Notes of what has happened that are kept for the status.
_NOTES = 8


class KafkaSource(Source[KafkaSourceSettings]):
    """Reads all its partitions through one client and keeps them aligned by record timestamp (chain time).

    A poll takes chunks from whichever partition lags most. The watermark is the least last timestamp over the
    partitions that have more to give; those at their end hold nothing back, and the end is where an open transaction
    begins. A snapshot is the next offset of every partition, so a resumed source gives exactly the rows that follow.

    A live source follows its topic (:mod:`mevflow.sources.kafka.watch`): partitions that are added are read from their
    start, a topic that is gone is waited for, and one that was made anew is read from its start.
    """

    use = "kafka.source"
    summary = "A Kafka topic as columnar batches, live or between offsets"
    settings_type = KafkaSourceSettings

    def __init__(self, settings: KafkaSourceSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._client: TopicClient | None = None
        self._reader: PartitionReader | None = None
        self._watch: TopicWatch | None = None
        self._view: TopicView | None = None
        self._notes: deque[str] = deque(maxlen=_NOTES)

    @classmethod
    def output_schemas(cls, settings: KafkaSourceSettings) -> Mapping[str, pa.Schema]:
        return {"out": RAW}

    @property
    def group(self) -> str:
        """The consumer group that offsets are committed to."""
        return self.settings.group or f"mevflow-{self.context.topology}-{self.context.node}"

    @classmethod
    def divide(cls, states: Sequence[bytes], shards: int) -> list[bytes]:
        return divide(states, shards)

    def open(self, state: bytes | None) -> None:
        """Raises UnreachableError, UsageError (no such topic or partition) or StateError (the position is lost)."""
        wanted = self.settings
        self._client = TopicClient(wanted.bootstrap, wanted.topic, self.group)
        self._topic_index = pa.array(np.zeros(wanted.max_rows, np.int8))
        self._topic_names = pa.array([wanted.topic])
        self._stops = wanted.stop_offsets
        position = Positions.resolve(self._client, wanted, state)
        if self._stops is not None:  # of the partitions that are this shard's
            self._stops = {p: stop for p, stop in self._stops.items() if p in position.offsets}
        if position.anew:
            self._notes.append("the topic was made anew since the last snapshot: it is read from its start")
        self._begin(position)
        if self._stops is None:
            self._watch = TopicWatch(wanted.bootstrap, wanted.topic)
            self._watch.start()

    def _begin(self, position: Positions) -> None:
        """Read from ``position``, whatever was read before."""
        assert self._client is not None
        wanted = self.settings
        self._identity = position
        size = max(position.offsets, default=0) + 1
        self._next = np.zeros(size, np.int64)
        self._last_us = np.zeros(size, np.int64)
        self._ended = np.zeros(size, np.bool_)
        for partition, offset in position.offsets.items():
            self._next[partition] = offset
        self._active = [p for p in position.offsets if not self._is_done(p)]
        self._at_end: dict[int, float | None] = dict.fromkeys(self._active)  # since when, by the monotonic clock
        self._ahead = 0
        self._said: Watermark | None = None
        if self._reader is not None:
            self._reader.close()
        self._reader = open_reader(wanted.topic, self._conf(), wanted.max_rows)
        self._faults = Faults(wanted, self._client, self._reader, self._notes.append)
        if self._active:
            self._reader.start({p: position.offsets[p] for p in self._active})

    def _conf(self) -> dict[str, str | int | bool]:
        wanted = self.settings
        return {
            **reach(wanted.bootstrap),
            "group.id": self.group,
            "client.id": f"mevflow-{self.context.node}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",  # a gap is told, never leapt over in silence
            "topic.metadata.refresh.interval.ms": 10_000,
            "check.crcs": False,
            # With the default of 1,000 ms a full queue stops fetching for that long.
            "fetch.queue.backoff.ms": 2,
            "fetch.min.bytes": wanted.fetch_min_bytes,
            "fetch.wait.max.ms": wanted.fetch_wait_ms,
            "fetch.message.max.bytes": 4_194_304,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": wanted.queue_kib,
            "socket.receive.buffer.bytes": 4_194_304,
            "log_level": 2,
            "reconnect.backoff.max.ms": 1_000,
        }

    def poll(self) -> Poll:
        """Give what has been fetched, without waiting."""
        assert self._reader is not None, "poll before open"
        if self._stops is not None and not self._active:
            return Poll(watermark=Watermark(CAUGHT_UP_US, final=True), ended=True)
        if self._watch is not None and not self._follow(self._watch):
            return Poll()
        drained, taken = self._take(self._reader)
        batches: list[tuple[str, pa.RecordBatch]] = []
        if taken:
            rows = self._reader.collect(self._next, self._last_us, self._ended)
            unread = self._faults.judge(rows.faults, self._next) if rows.faults else []
            for found in (self._batch(rows), *unread):
                batch = self._bounded(found)
                if batch.num_rows:
                    batches.append(("out", batch))
        self._notice_ends(self._reader, drained)
        if self._stops is not None:
            self._active = [p for p in self._active if not self._is_done(p)]
            if not self._active:
                return Poll(batches, Watermark(CAUGHT_UP_US, final=True), ended=True)
        watermark = self._watermark()
        if not batches and watermark == self._said:
            return Poll()
        self._said = watermark
        return Poll(batches, watermark)

    def _follow(self, watch: TopicWatch) -> bool:
        """Do what the topic has become asks for. False while there is nothing that could be read."""
        view = watch.view
        if view is None or view is self._view:
            return not self._faults.waits(None if view is None else view.asked_s)
        before, self._view = self._view, view
        if view.gone:
            if before is None or not before.gone:
                self._notes.append("the topic was deleted while it was read")
            return False
        if view.topic_id != self._identity.topic_id and self._identity.topic_id:
            done = self._anew(watch, view)
        else:
            done = self.settings.partitions is not None or self._grow(watch, view.count)
        if not done:  # a partition has no leader yet: tried again at the next poll
            self._view = before
            return False
        return not self._faults.waits(view.asked_s)

    def _anew(self, watch: TopicWatch, view: TopicView) -> bool:
        """The topic was deleted and created again under its name: all that is there is new."""
        offsets = watch.starts(own_partitions(self.settings, view.count))
        if offsets is None:
            return False
        old = self._identity
        self._notes.append("the topic was made anew while it was read: it is read from its start")
        self._begin(Positions(old.cluster, old.topic, view.count, offsets, view.topic_id))
        return True

    def _grow(self, watch: TopicWatch, count: int) -> bool:
        """Partitions were added: read those that are this shard's from their start."""
        assert self._reader is not None
        old = self._identity
        if count <= old.count:
            return True
        mine = [p for p in own_partitions(self.settings, count) if p >= old.count]
        fresh = watch.starts(mine) if mine else {}
        if fresh is None:
            return False
        room = np.zeros(count - len(self._next), np.int64)
        self._next = np.concatenate([self._next, room])
        self._last_us = np.concatenate([self._last_us, room])
        self._ended = np.concatenate([self._ended, room.astype(np.bool_)])
        for partition, offset in fresh.items():
            self._next[partition] = offset
            self._active.append(partition)
            self._at_end[partition] = None
        self._identity = Positions(old.cluster, old.topic, count, old.offsets | fresh, old.topic_id)
        if fresh:
            self._reader.start(fresh)
        self._notes.append(f"the topic has grown from {old.count} to {count} partitions")
        return True

    def _take(self, reader: PartitionReader) -> tuple[list[int], int]:
        """Fill a batch, always from the partition that lags most. Gives those with nothing more, and how many rows."""
        lag = {p: int(self._last_us[p]) for p in self._active}
        room = self.settings.max_rows
        drained: list[int] = []
        waiting = False
        while lag and room:
            partition = min(lag, key=lag.__getitem__)
            asked = min(_CHUNK, room)
            count, last_us = reader.take(partition, asked)
            room -= count
            if waiting:
                self._ahead += count
            if count < asked:
                del lag[partition]
                drained.append(partition)
                waiting = waiting or (count == 0 and self._at_end[partition] is None)
            elif last_us >= 0:
                lag[partition] = last_us
            if count:
                self._at_end[partition] = None
            if waiting and self._ahead >= _MAX_AHEAD_ROWS:
                break
        if not waiting:
            self._ahead = 0
        return drained, self.settings.max_rows - room

    def _notice_ends(self, reader: PartitionReader, drained: list[int]) -> None:
        """Which partitions have given all that may be read as of the last fetch. An unknown end is no end."""
        for partition in drained:
            if self._at_end[partition] is not None:
                continue
            if self._ended[partition] or 0 <= reader.high(partition) <= self._next[partition]:
                self._at_end[partition] = time.monotonic()

    def _watermark(self) -> Watermark:
        settled = time.monotonic() - self.settings.settle_ms / 1000
        holding = [int(self._last_us[p]) for p in self._active if (since := self._at_end[p]) is None or since > settled]
        return Watermark(min(holding, default=CAUGHT_UP_US))

    def _is_done(self, partition: int) -> bool:
        return self._stops is not None and bool(self._next[partition] >= self._stops[partition])

    def _batch(self, rows: KafkaRows) -> pa.RecordBatch:
        count = len(rows.times_us)
        topics = pa.DictionaryArray.from_arrays(self._topic_index.slice(0, count), self._topic_names)
        columns = [rows.values, pa.array(rows.times_us), topics, pa.array(rows.partitions), pa.array(rows.offsets)]
        return pa.RecordBatch.from_arrays(columns, schema=RAW)

    def _bounded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without the rows at and after the stop offsets."""
        if self._stops is None:
            return batch
        stops = np.zeros(len(self._next), np.int64)
        for partition, stop in self._stops.items():
            stops[partition] = stop
        if not (self._next > stops).any():
            return batch
        self._next = np.minimum(self._next, stops)
        partitions = batch.column("source_partition").to_numpy()
        inside = pc.less(batch.column("source_offset"), pa.array(stops[partitions]))
        return batch.filter(inside)

    def behind(self) -> int:
        """Rows that may be read and were not given, as of the last fetch of each partition and the last look."""
        return sum(self._left(p) for p in self._active)

    def _left(self, partition: int) -> int:
        reached = int(self._next[partition])
        end = -1 if self._view is None else self._view.ends.get(partition, -1)
        high = -1 if self._reader is None else self._reader.high(partition)
        if end < reached and self._at_end[partition] is None:
            end = high  # what was fetched since the last look
        return max(0, end - reached)

    def standing(self) -> Standing:
        """Caught up is what has read every partition to the end that the broker has told within seconds."""
        lags = tuple(PartitionLag(self.settings.topic, p, self._left(p)) for p in self._active)
        if self._reader is None or self._watch is None:
            return Standing(self.behind(), notes=tuple(self._notes), partitions=lags)
        view = self._watch.view
        behind = self.behind()
        notes = [*self._notes, *self._faults.standing]
        if view is None or not view.fresh:
            notes.append("the broker does not answer: how far the topic reaches is not known")
            return Standing(behind, False, tuple(notes), lags)
        if view.gone:
            notes.append("the topic is gone: waiting for it")
            return Standing(0, False, tuple(notes))
        notes += [f"partition {p} has no leader" for p in view.leaderless]
        for partition in self._active:
            reached = int(self._next[partition])
            at_end = self._ended[partition] and view.ends.get(partition, reached + 1) <= reached
            if at_end and (waits := self._reader.high(partition) - reached) > 0:
                notes.append(f"partition {partition}: {waits} offsets wait for an open transaction")
        known = set(view.ends) >= set(self._active) == set(own_partitions(self.settings, view.count))
        done = all(self._at_end[p] is not None and view.ends.get(p, 0) <= self._next[p] for p in self._active)
        return Standing(behind, bool(known and done and not self._faults.standing), tuple(notes), lags)

    def snapshot(self) -> bytes:
        """Format 2: cluster id, topic, its id and partition count, next offset by partition."""
        return self._identity.at({p: int(self._next[p]) for p in self._identity.offsets})

    def committed(self, state: bytes) -> None:
        """Tell the consumer group, for lag tools; the truth is in the snapshot, so a failure is of no consequence."""
        if self._client is not None:
            found = msgspec.json.decode(state)
            self._client.commit({int(p): o for p, o in found["offsets"].items()}, found.get("topic_id", ""))

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._reader is not None:
            self._reader.close()
        if self._client is not None:
            self._client.close()
