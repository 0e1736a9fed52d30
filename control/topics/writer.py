"""What the service writes to Kafka: commands that a caller waits for, and an audit record of every call."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from mevflow.control.refusal import Refused
from mevflow.flows.steering.protocol import AUDIT, COMMANDS, PULSE, command_key
from mevflow.flows.steering.signatures import Signer
from mevflow.kafka.security import reach
from mevflow.v1.control_pb2 import ControlAudit, ControlCommand

#: A command that the broker has not taken by then is given up; its caller is told.
SEND_S = 4.0
_AUDIT_QUEUE = 100_000


class Writer:
    """Two producers of librdkafka and a thread that takes the broker's word.

    ``command`` and ``issued`` wait for that word. ``audit`` does not: it tries until the service ends, within a bounded
    queue. Commands are sent without idempotence: a record that came twice is the same command, and known as such.
    """

    def __init__(self, bootstrap: str, name: str, signer: Signer | None = None) -> None:
        from confluent_kafka import Producer

        shared: dict[str, Any] = {
            **reach(bootstrap),
            "client.id": name,
            "partitioner": "murmur2_random",
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "retry.backoff.max.ms": 200,
            "log_level": 0,
        }
        self._prompt = Producer({**shared, "linger.ms": 0, "acks": "all", "message.timeout.ms": int(SEND_S * 1000)})
        self._lazy = Producer(
            {
                **shared,
                "linger.ms": 100,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": _AUDIT_QUEUE,
            }
        )
        self.audit_lost = 0
        self._signer = signer
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(each,), name="control-writer", daemon=True)
            for each in (self._prompt, self._lazy)
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self, producer: Any) -> None:
        while not self._stop.is_set():
            producer.poll(0.1)

    async def _send(
        self, topic: str, key: str | None, value: bytes, time_ms: int, seconds: float = SEND_S + 1.0
    ) -> int:
        """Write a record and wait; gives its offset. Raises Refused (UNAVAILABLE)."""
        done: asyncio.Future[int] = self._loop.create_future()

        def settle(error: Any, offset: int) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(offset)
            else:
                done.set_exception(_unavailable(topic, error.str()))

        def delivered(error: Any, message: Any) -> None:
            self._loop.call_soon_threadsafe(settle, error, message.offset() if message is not None else -1)

        try:
            headers = self._headers(key, value) if topic == COMMANDS else []
            self._prompt.produce(topic, value, key=key, timestamp=time_ms, headers=headers, on_delivery=delivered)
        except BufferError as error:
            raise _unavailable(topic, str(error)) from error
        try:
            return await asyncio.wait_for(done, seconds)
        except TimeoutError:
            raise _unavailable(topic, f"not within {seconds:g} s") from None

    async def command(self, command: ControlCommand, seconds: float = SEND_S + 1.0) -> int:
        """Send a command; gives its offset once the broker has it. Its record bears the time that it was issued at."""
        key = command_key(command.topology, command.kind, command.target)
        time_ms = command.issued_at_us // 1000
        return await self._send(COMMANDS, key, command.SerializeToString(), time_ms, seconds)

    async def issued(self, record: ControlAudit) -> int:
        """Write an audit record and wait until the broker has it."""
        return await self._send(AUDIT, None, record.SerializeToString(), record.timestamp_us // 1000)

    def pulse(self, command: ControlCommand) -> None:
        """Say that the service is there; nobody waits for it."""
        try:
            value = command.SerializeToString()
            self._prompt.produce(COMMANDS, value, key=PULSE, headers=self._headers(PULSE, value))
        except BufferError:
            return  # no broker takes anything: no pulse either

    def _headers(self, key: str | None, value: bytes) -> list[tuple[str, str | bytes | None]]:
        """The signature of a command, when commands are signed."""
        return [] if self._signer is None else [self._signer.header(key or "", value)]

    def audit(self, record: ControlAudit) -> bool:
        """Write an audit record in good time. False when so much waits for the broker that it was dropped."""
        try:
            self._lazy.produce(AUDIT, record.SerializeToString(), timestamp=record.timestamp_us // 1000)
        except BufferError:
            self.audit_lost += 1
            return False
        return True

    def close(self, seconds: float) -> int:
        """Wait for what is under way; gives the records that the broker has not taken. Blocks."""
        left = int(self._prompt.flush(seconds)) + int(self._lazy.flush(seconds))
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return left


def _unavailable(topic: str, why: str) -> Refused:
    return Refused(
        "UNAVAILABLE",
        "BROKER_UNAVAILABLE",
        f"the broker did not take a record of {topic}: {why}",
        metadata={"topic": topic},
        retry_after_s=1.0,
    )
