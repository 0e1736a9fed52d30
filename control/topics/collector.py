"""The ack collector: a Faust agent on ``control-acks`` in the service's event loop.

Every service reads every answer, so each run of it is a consumer group of its own, and nothing depends on a commit:

1. before the agent starts, the group's offsets are set to the newest ``_NEWEST`` answers of each partition, so that no
   answer falls between reading what was there and following what comes;
2. the agent follows from there; an answer seen twice is told by (command, run, shard, stage);
3. when Faust fails or stands still while there are answers, a new one starts where this one had got to.

Faust asks the broker to hold an empty fetch back for up to 1.5 s; a partition that is left out of the fetch under way,
because its last answers were still being taken, would wait that long: ``fetch_wait_ms`` bounds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import faust
import structlog
from faust.auth import Credentials, OAuthCredentials
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from mevflow.control.topics.offsets import bounds
from mevflow.control.topics.reader import moving
from mevflow.flows.steering.protocol import ACKS
from mevflow.kafka.security import reach, security_of
from mevflow.kafka.tokens import AsyncTokens
from mevflow.operators.errors import UnreachableError
from mevflow.processes.private import read_secret

_NEWEST = 50_000
_STUCK_S = 5.0
_LOOK_S = 1.0
_AGAIN_S = 1.0

log = structlog.get_logger("mevflow.control")


def _thread_class(fetch_wait_ms: int) -> type[AIOKafkaConsumerThread]:
    class PromptThread(AIOKafkaConsumerThread):
        """Faust's consumer thread, whose fetches come back at once."""

        def _create_worker_consumer(self, transport: Any) -> Any:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = fetch_wait_ms
            return consumer

        async def on_thread_stop(self) -> None:
            """Close the consumer although aiokafka lets the cancelling of a fetch that waits for its broker out."""
            with contextlib.suppress(asyncio.CancelledError):
                await super().on_thread_stop()
            if self._consumer is not None:
                await self._consumer._client.close()

    return PromptThread


def _credentials(bootstrap: str) -> Credentials | None:
    """How Faust is let in; None: in plain. Raises UsageError."""
    found = security_of(bootstrap)
    if found is None:
        return None
    context = found.context() if found.encrypted else None
    if not found.signs_in:
        return faust.SSLCredentials(context)
    if found.by_token:
        return OAuthCredentials(oauth_cb=AsyncTokens(found.tokens()), ssl_context=context)
    password = read_secret(found.password_file)
    return faust.SASLCredentials(
        username=found.username, password=password, ssl_context=context, mechanism=found.mechanism
    )


def _transport_class(fetch_wait_ms: int) -> type[Transport]:
    thread = _thread_class(fetch_wait_ms)

    class PromptConsumer(Consumer):
        def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
            return thread(self, loop=self.loop, beacon=self.beacon)

    class PromptTransport(Transport):
        Consumer = PromptConsumer

    return PromptTransport


class AckCollector:
    """``take`` gets (partition, offset, value) of every answer, in the event loop."""

    def __init__(
        self, bootstrap: str, group: str, take: Callable[[int, int, bytes], None], fetch_wait_ms: int = 20
    ) -> None:
        self._bootstrap, self._group, self._take = bootstrap, group, take
        self._transport = _transport_class(fetch_wait_ms)
        self._next: dict[int, int] = {}  # by partition: the offset wanted next
        self._ends: dict[int, int] = {}  # where they ended at the start
        self._caught_up, self._assigned = asyncio.Event(), asyncio.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="mevflow-control-")
        self._app: Any = None
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    async def start(self, seconds: float) -> None:
        """Begin, and wait until every answer that is there has been taken. Raises UnreachableError, UsageError."""
        self._next, self._ends = await asyncio.to_thread(self._places, seconds)
        self._task = asyncio.create_task(self._supervise(), name="collector")
        self._check_caught_up()
        try:
            await moving(self._assigned, lambda: 0, seconds)
            await moving(self._caught_up, lambda: sum(self._next.values()), seconds)
        except TimeoutError:
            raise UnreachableError(
                f"the answers cannot be read at {self._bootstrap}: nothing has come for {seconds:g} s",
                hint="mevflow broker status",
                topic=ACKS,
            ) from None

    def _places(self, seconds: float) -> tuple[dict[int, int], dict[int, int]]:
        """First offset to read and end, by partition. Blocks."""
        with self._client(f"{self._group}-probe") as client:
            found = bounds(client, self._bootstrap, ACKS, seconds)
        starts = {part: max(begin, end - _NEWEST) for part, (begin, end) in found.items()}
        return starts, {part: end for part, (_, end) in found.items()}

    @contextlib.contextmanager
    def _client(self, group: str) -> Iterator[Any]:
        from confluent_kafka import Consumer as Client

        client = Client(
            {
                **reach(self._bootstrap),
                "group.id": group,
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        try:
            yield client
        finally:
            client.close()

    def _set_group(self, group: str) -> None:
        """Make the group begin where this collector stands. Blocks."""
        from confluent_kafka import TopicPartition

        with self._client(group) as client:
            offsets = [TopicPartition(ACKS, part, offset) for part, offset in self._next.items()]
            client.commit(offsets=offsets, asynchronous=False)

    async def _supervise(self) -> None:
        """Keep a Faust app running until it is cancelled."""
        while True:
            group = f"{self._group}-{self.restarts}"
            try:
                await asyncio.to_thread(self._set_group, group)
                await self._run(group)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("collector_failed", error=repr(error))
            self.restarts += 1
            await asyncio.sleep(_AGAIN_S)

    async def _run(self, group: str) -> None:
        """One Faust app: returns when it has stopped or stands still."""
        app = faust.App(
            group,
            broker=f"kafka://{self._bootstrap}",
            broker_credentials=_credentials(self._bootstrap),
            store="memory://",
            datadir=f"{self._folder.name}/{group}",
            value_serializer="raw",
            key_serializer="raw",
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=False,
            topic_disable_leader=True,
            web_enabled=False,
            broker_commit_interval=5.0,
            producer_linger=0.0,
        )
        app.transport = self._transport(app.conf.broker, app, loop=asyncio.get_running_loop())

        @app.agent(app.topic(ACKS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"))
        async def acks(stream: Any) -> None:
            async for event in stream.events():
                self._event(event.message)

        @app.on_partitions_assigned.connect
        async def assigned(*_: Any, **__: Any) -> None:
            self._assigned.set()

        app.finalize()
        app.loop = asyncio.get_running_loop()
        self._app = app
        running = asyncio.ensure_future(app.start())
        watch = asyncio.create_task(self._watch(), name="collector-watch")
        try:
            await asyncio.wait({running, watch}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
                # Started; now it runs by itself until it crashes or stands still.
                await watch
        finally:
            watch.cancel()
            self._app = None
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(app.stop(), 5.0)
            if not running.done():
                running.cancel()

    def _event(self, message: Any) -> None:
        partition, offset = message.partition, message.offset
        self._take(partition, offset, cast(bytes, message.value))
        self._next[partition] = max(self._next.get(partition, 0), offset + 1)
        if not self._caught_up.is_set():
            self._check_caught_up()

    def _check_caught_up(self) -> None:
        if all(self._next[part] >= end for part, end in self._ends.items()):
            self._caught_up.set()

    async def _watch(self) -> None:
        """Return when Faust has crashed, or stands still although there are answers."""
        from confluent_kafka import KafkaException, TopicPartition

        def behind(client: Any) -> dict[int, int]:
            late = {}
            for part, wanted in list(self._next.items()):
                found = client.get_watermark_offsets(TopicPartition(ACKS, part), timeout=1.0)
                if found is not None and found[1] > wanted:
                    late[part] = wanted
            return late

        since: dict[int, tuple[int, float]] = {}
        with self._client(f"{self._group}-probe") as client:
            while True:
                await asyncio.sleep(_LOOK_S)
                app = self._app
                if app is not None and app.crashed:
                    raise RuntimeError(f"Faust crashed: {app.crash_reason!r}")
                try:
                    late = await asyncio.to_thread(behind, client)
                except KafkaException:
                    since.clear()
                    continue
                now = time.monotonic()
                since = {
                    part: since[part] if part in since and since[part][0] == wanted else (wanted, now)
                    for part, wanted in late.items()
                }
                if any(now - at > _STUCK_S for _, at in since.values()):
                    raise RuntimeError("Faust stands still")

    async def stop(self) -> None:
        """End the agent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await asyncio.to_thread(self._forget_groups)
        self._folder.cleanup()

    def _forget_groups(self) -> None:
        """Leave no groups behind that nobody will ever use again. Blocks."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({**reach(self._bootstrap), "log_level": 0})
        groups = [f"{self._group}-{number}" for number in range(self.restarts + 1)]
        for done in admin.delete_consumer_groups(groups, request_timeout=2.0).values():
            with contextlib.suppress(KafkaException):  # it goes by itself after a week
                done.result()
