"""The job on Faust: ``python -m mevflow.bench.peers.faust_peer BOOTSTRAP TOPIC MESSAGES CLICKHOUSE_PORT`` (JSON)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from typing import Any

import clickhouse_connect
import faust

from mevflow.bench.peers.job import PeerJob

#: Within the bench's own patience.
_START_S, _RUN_S = 60, 110


async def measure(bootstrap: str, topic: str, messages: int, port: int) -> None:
    """Print the seconds from the first message to the last, and end the process."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        value_serializer="raw",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=20_000,
        stream_wait_empty=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    job = PeerJob(clickhouse_connect.get_client(host="127.0.0.1", port=port))
    times: list[float] = []
    done = asyncio.Event()

    @app.agent(app.topic(topic, value_type=bytes, value_serializer="raw"))
    async def consume(stream: Any) -> None:
        async for value in stream:
            if not times:
                times.append(time.perf_counter())
            job.handle(value)
            if job.seen == messages:
                job.flush()
                times.append(time.perf_counter())
                done.set()

    app.finalize()
    app.loop = asyncio.get_running_loop()
    await asyncio.wait_for(app.start(), _START_S)  # returns once it runs
    ends = [asyncio.create_task(part) for part in (done.wait(), app.wait_until_stopped())]
    await asyncio.wait(ends, timeout=_RUN_S, return_when=asyncio.FIRST_COMPLETED)
    if not times:
        print("Faust was given no message", file=sys.stderr, flush=True)
        os._exit(1)
    seconds = (times[1] if done.is_set() else time.perf_counter()) - times[0]  # a slow machine: of what it did
    print(json.dumps({"messages": job.seen, "seconds": seconds}), flush=True)
    os._exit(0)  # told before the loop is left: Faust's shutdown leaves its group first, and may hang there


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
