"""Publish recorded files to Kafka: swaps and pool updates keyed by pool, at chain time, each message once.

A feed can be cut off at any point and run again: what the topics already hold is left out (see
:mod:`mevflow.flows.feed.mark`), even when the folder with its progress is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from mevflow.flows.config import Config
from mevflow.flows.feed.mark import HEADER, FeedProgress, Numbers, Topics, feed_id, mark
from mevflow.flows.runtime.claim import HeldError, LockClaim
from mevflow.flows.runtime.lease import Lease
from mevflow.kafka.partitioner import partition_of
from mevflow.kafka.security import reach
from mevflow.kafka.topics import cluster_id, listing, offsets_for_times
from mevflow.operators.codec import codec
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError

SWAP, UPDATE, LETTER = "mevflow.v1.Swap", "mevflow.v1.PoolUpdate", "mevflow.v1.DeadLetter"
TOPICS = {SWAP: "dex-swaps-proto", UPDATE: "pool-updates-proto", LETTER: "dlq"}
_KEYS = {SWAP: "pool", UPDATE: "pool", LETTER: "topic"}
_FLUSH_S = 60.0
#: Messages are let go in steps of about this long when a rate or a speed is asked for.
_STEP_S = 0.01
_WAIT_S = 0.2


class Stream(Protocol):
    """What is fed: batches in chain order, and how far the files have been read."""

    bytes_total: int

    @property
    def bytes_read(self) -> int: ...

    def close(self) -> None: ...

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...


@dataclass(frozen=True, slots=True)
class FeedOutcome:
    """Messages by what became of them; ``rejected`` are those that went to the dead letters (this run)."""

    published: int
    skipped: int
    rejected: int
    seconds: float


class _Pace:
    """Says how many of the next rows are due, waiting until there is one."""

    def __init__(self, rate: float | None, speed: float | None) -> None:
        self._rate, self._speed = rate, speed
        self._began = time.monotonic()
        self._sent = 0
        self._first_us: int | None = None

    def due(self, times_us: Sequence[int], begin: int) -> int:
        """The end of the run of rows from ``begin`` that may be sent now."""
        if self._rate is None and self._speed is None:
            return len(times_us)
        while True:
            passed = time.monotonic() - self._began
            end = begin
            if self._rate is not None:
                end = min(len(times_us), begin + int(passed * self._rate) - self._sent)
            elif self._speed is not None:
                self._first_us = times_us[begin] if self._first_us is None else self._first_us
                now_us = self._first_us + passed * 1e6 * self._speed
                while end < len(times_us) and times_us[end] <= now_us:
                    end += 1
            if end > begin:
                self._sent += end - begin
                return end
            time.sleep(_STEP_S)


def feed(
    paths: Sequence[Path],
    *,
    config: Config,
    topic: str = TOPICS[SWAP],
    updates_topic: str = TOPICS[UPDATE],
    rate: float | None = None,
    speed: float | None = None,
    pools: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
    say: Callable[[str], None] = lambda text: None,
) -> FeedOutcome:
    """Publish ``paths``; what is on the topics already is skipped.

    Whirlpool days go one after the other; Uniswap logs are merged into one stream in chain order. EVM logs as nodes or
    cryo give them are of the ``pools`` that a pool file names, file after file; so come Solana's transactions.
    ``rate`` is in messages a second, ``speed`` in multiples of chain time; neither: as fast as possible. ``progress``
    takes the bytes read so far, ``say`` what a person should know. The same files on the same topics are fed by one
    process at a time.
    Raises UnreachableError, UsageError (a missing file or topic) or MevflowError (a message was not taken).
    """
    from mevflow.sources.recorded import open_recorded
    from mevflow.sources.solana.files import TransactionFiles

    transactions = solana_transactions(paths)
    logs = evm_logs([path for path in paths if path not in transactions])
    topics = {SWAP: topic, UPDATE: updates_topic, LETTER: TOPICS[LETTER]}
    before, total = 0, FeedOutcome(0, 0, 0, 0.0)
    rest = [path for path in paths if path not in logs and path not in transactions]
    for group in [*groups(rest), *(each for each in (logs, transactions) if each)]:
        stream: Stream
        if group is logs:
            stream = _logs_of(logs, pools)
        elif group is transactions:
            stream = TransactionFiles(transactions)
        else:
            stream = open_recorded(*group, on_error=lambda error: None)

        def told(done: int, base: int = before) -> None:
            progress(base + done)

        try:
            named = [*group, pools] if group is logs and pools is not None else group
            one = publish(stream, feed_id(named), config, topics, _Pace(rate, speed), told, say)
        finally:
            stream.close()
        before += stream.bytes_total
        total = FeedOutcome(
            total.published + one.published,
            total.skipped + one.skipped,
            total.rejected + one.rejected,
            round(total.seconds + one.seconds, 3),
        )
    return total


def solana_transactions(paths: Sequence[Path]) -> list[Path]:
    """Those of the files that hold what Solana's nodes answered."""
    from mevflow.sources.solana.files import is_transactions

    return [path for path in dict.fromkeys(paths) if is_transactions(path)]


def evm_logs(paths: Sequence[Path]) -> list[Path]:
    """Those of the files that hold EVM logs, or blocks beside them."""
    from mevflow.sources.evm.files import is_logs

    return [path for path in dict.fromkeys(paths) if is_logs(path)]


def _logs_of(paths: Sequence[Path], pools: Path | None) -> Stream:
    from mevflow.operators.parse.evm.pool_file import read_pool_file
    from mevflow.sources.evm.files import LogFiles

    if pools is None:
        raise UsageError("which pools are these logs of?", hint="--pools FILE (docs/collect.md)", file=str(paths[0]))
    return LogFiles(paths, read_pool_file(pools))


def groups(paths: Sequence[Path]) -> list[list[Path]]:
    """Files that make one stream: each Whirlpool day by itself, all Uniswap logs together."""
    from mevflow.sources.recorded import open_recorded

    days: list[Path] = []
    logs: list[Path] = []
    for path in dict.fromkeys(paths):
        recorded = open_recorded(path)
        (days if recorded.kind == "whirlpool" else logs).append(path)
        recorded.close()
    return [[path] for path in days] + ([logs] if logs else [])


def publish(
    stream: Stream,
    feed: bytes,
    config: Config,
    topics: dict[str, str],
    pace: _Pace,
    progress: Callable[[int], None],
    say: Callable[[str], None] = lambda text: None,
) -> FeedOutcome:
    """Publish one stream of batches under the feed's name; see :func:`feed`. Waits while another process does."""
    name = _name(feed, sorted(topics.values()))
    with _only_one(config, name, say) as lease:
        return _publish(stream, feed, config, topics, pace, progress, name, lease)


@contextmanager
def _only_one(config: Config, name: str, say: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the feed's claim; one of the same files on the same topics is waited for, and then finds all there."""
    path = (config.var / "feed" / f"{name}.claim").absolute()
    told = False
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(LockClaim.take(path, "feed", "the feed is published"))
                lease = held.enter_context(Lease.take(config.kafka.bootstrap, f"feed/{name}", path.parent, "feed"))
                break
            except HeldError as error:
                held.close()
                if not told:
                    say(f"waiting: {error.message}")
                    told = True
                time.sleep(_WAIT_S)
        yield lease


def _publish(
    stream: Stream,
    feed: bytes,
    config: Config,
    topics: dict[str, str],
    pace: _Pace,
    progress: Callable[[int], None],
    name: str,
    lease: Lease,
) -> FeedOutcome:
    began = time.monotonic()
    bootstrap = config.kafka.bootstrap
    ends = {info.name: info.ends for info in listing(bootstrap, list(topics.values()))}
    file = config.var / "feed" / f"{name}.json"
    known = FeedProgress.load(file, cluster_id(bootstrap))
    reader = Topics(bootstrap, feed)
    try:
        if not reader.still_holds(known, ends):
            known = FeedProgress(known.cluster, b"")  # the topics were made anew
        if known.complete:
            progress(stream.bytes_total)
            return FeedOutcome(0, known.messages, 0, time.monotonic() - began)
        batches = iter(stream)
        first = next(batches, None)
        since_us = None if first is None or not first.num_rows else int(first.column("timestamp_us")[0].as_py())
        for topic in ends:
            reader.scan(known, topic, ends[topic], _starts(bootstrap, topic, ends, since_us, topic == topics[LETTER]))
    finally:
        reader.close()
    known.save(file)
    run = _Run(bootstrap, feed, topics, {topic: len(places) for topic, places in ends.items()}, known, pace, lease)
    try:
        for batch in _chain(first, batches):
            run.send(batch)
            progress(stream.bytes_read)
        known.complete, known.messages = True, run.sequence
    finally:
        whole = run.finish()
        if whole:
            known.save(file)
    if not whole:
        run.check()
        raise UnreachableError("not everything was acknowledged", hint="run the feed again: it resumes")
    return FeedOutcome(run.published, run.skipped, run.rejected, time.monotonic() - began)


def _name(feed: bytes, topics: list[str]) -> str:
    """The name of the progress file: the same files on other topics are another feed."""
    from hashlib import blake2b

    return f"{feed.hex()}-{blake2b(','.join(topics).encode(), digest_size=4).hexdigest()}"


def _starts(
    bootstrap: str, topic: str, ends: dict[str, dict[int, tuple[int, int]]], since_us: int | None, whole: bool
) -> dict[int, int]:
    """Where records of this feed may begin: nothing before the stream's first chain time can be of it."""
    if whole or since_us is None:
        return {p: start for p, (start, _) in ends[topic].items()}
    return {p: start for p, (start, _) in offsets_for_times(bootstrap, topic, since_us, None).items()}


def _chain(first: pa.RecordBatch | None, rest: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
        yield from rest


class _Run:
    """One run of a feed: numbers the messages, leaves out what is there, counts, remembers offsets."""

    def __init__(
        self,
        bootstrap: str,
        feed: bytes,
        topics: dict[str, str],
        partitions: dict[str, int],
        known: FeedProgress,
        pace: _Pace,
        lease: Lease,
    ) -> None:
        from confluent_kafka import Producer

        self._feed, self._topics, self._partitions, self._known, self._pace = feed, topics, partitions, known, pace
        self._lease = lease
        self._producer = Producer(
            {
                **reach(bootstrap),
                "client.id": "mevflow-feed",
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "batch.size": 65_536,
                "queue.buffering.max.kbytes": 65_536,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )
        self._place = cache(partition_of)
        self._failed = ""
        self._taken: list[int] = []
        self._there = Numbers.unpack(known.there)
        self.sequence = self.published = self.skipped = self.rejected = 0

    def send(self, batch: pa.RecordBatch) -> None:
        """Publish the rows that the topic lacks, when they are due."""
        message = (batch.schema.metadata or {}).get(b"message", b"").decode()
        if message not in self._topics:
            raise UsageError(f"a feed does not publish {message or 'unnamed batches'}")
        topic = self._topics[message]
        count, first = batch.num_rows, self.sequence
        missing = self._there.missing(first, count)
        self.sequence += count
        self.skipped += count - len(missing)
        if not len(missing):
            return
        keys = batch.column(_KEYS[message]).take(pa.array(missing)).to_pylist()
        raw = [key.encode() if isinstance(key, str) else key for key in keys]
        places = [self._place(key, self._partitions[topic]) for key in raw]
        rows = list(zip(missing.tolist(), raw, places, strict=True))
        values = codec(message).encode(batch).to_pylist()
        times_us = batch.column("timestamp_us").to_pylist()
        due_us = [times_us[i] for i, _, _ in rows]
        begin = 0
        while begin < len(rows):
            end = self._pace.due(due_us, begin)
            for i, key, partition in rows[begin:end]:
                self._produce(topic, partition, key, values[i], times_us[i] // 1000, first + i)
            self._producer.poll(0)
            self.check()
            begin = end
        self.published += len(rows)
        self.rejected += len(rows) if message == LETTER else 0

    def _produce(self, topic: str, partition: int, key: bytes, value: bytes, time_ms: int, sequence: int) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=partial(self._delivered, sequence),
                    timestamp=time_ms,
                    headers=[(HEADER, mark(self._feed, sequence))],
                )
                break
            except BufferError:
                self._producer.poll(0.05)

    def _delivered(self, sequence: int, error: Any, message: Any) -> None:
        if error is not None:
            self._failed = self._failed or f"{message.topic()}[{message.partition()}]: {error.str()}"
            return
        self._taken.append(sequence)
        self._known.note(message.topic(), message.partition(), message.offset(), sequence)
        self._known.scanned[message.topic()][message.partition()] = message.offset() + 1

    def finish(self) -> bool:
        """Wait for the broker's word. False when not everything was acknowledged: the topics say what was."""
        whole = self._producer.flush(_FLUSH_S) == 0 and not self._failed
        self._there.add(self._taken)
        self._known.there = self._there.pack()
        return whole

    def check(self) -> None:
        """Raise MevflowError when a message was not taken, or another has taken the feed over."""
        self._lease.check()
        if self._failed:
            raise MevflowError(f"Kafka did not take a message: {self._failed}", hint="run the feed again: it resumes")
