"""What a shard sends: answers that must not be lost, and heartbeats that are worth nothing when late."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from mevflow.flows.steering.mailbox import Position
from mevflow.flows.steering.protocol import ACKS, HEARTBEATS, heartbeat_key
from mevflow.kafka.security import reach
from mevflow.operators.stage import Ack
from mevflow.v1.control_pb2 import ControlAck, ControlCommand, Heartbeat

#: Characters of an answer's detail: the service takes records of 32 KiB.
_MAX_DETAIL = 4_000


class Outbox:
    """Two producers of librdkafka, which sends in threads of its own: nothing here waits for the broker.

    Answers go through an idempotent producer that tries until it is closed, so a broker's restart neither loses nor
    doubles one. ``identity`` is (topology, shard, id of this process's run).
    """

    def __init__(self, bootstrap: str, identity: tuple[str, int, str]) -> None:
        from confluent_kafka import Producer

        self._identity = identity
        #: Answers by status, sent or still to be sent.
        self.answers: Counter[str] = Counter()
        shared: dict[str, Any] = {
            **reach(bootstrap),
            "client.id": f"mevflow-control-{identity[0]}-{identity[1]}",
            "linger.ms": 0,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
        self._acks = Producer(
            {
                **shared,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "retry.backoff.max.ms": 200,
                "partitioner": "murmur2_random",
            }
        )
        self._beats = Producer({**shared, "acks": 1, "message.timeout.ms": 2000, "partitioner": "murmur2_random"})

    def ack(self, command: ControlCommand, stage: str, ack: Ack, position: Position) -> None:
        """Send one answer. Safe from every thread."""
        self.answers[ack.status] += 1
        topology, shard, run_id = self._identity
        topic, partition, offset = position
        row = ControlAck(
            command_id=command.command_id,
            topology=topology,
            shard=shard,
            run_id=run_id,
            version=command.version,
            nonce=command.nonce,
            status=ack.status,
            reason=ack.reason,
            detail=ack.detail[:_MAX_DETAIL],
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_us=time.time_ns() // 1000,
            stage=stage,
        )
        self._acks.produce(ACKS, row.SerializeToString(), key=command.command_id, timestamp=row.timestamp_us // 1000)

    def beat(self, **fields: Any) -> None:
        """Send a heartbeat."""
        topology, shard, run_id = self._identity
        row = Heartbeat(topology=topology, shard=shard, run_id=run_id, timestamp_us=time.time_ns() // 1000, **fields)
        self._beats.produce(
            HEARTBEATS,
            row.SerializeToString(),
            key=heartbeat_key(topology, shard),
            timestamp=row.timestamp_us // 1000,
        )

    def serve(self) -> None:
        """Take the broker's word on what was sent."""
        self._acks.poll(0)
        self._beats.poll(0)

    def close(self, seconds: float) -> int:
        """Wait for what is under way; gives the answers that the broker has not taken."""
        left = int(self._acks.flush(seconds))
        self._beats.flush(min(seconds, 2.0))
        return left
