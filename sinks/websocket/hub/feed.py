"""The shard's end of the hub's local socket. It never blocks the stream.

A block is written at once when the socket takes it. What the socket does not take waits, up to ``max_bytes``, for a
thread that also connects and reconnects; what does not fit is dropped, counted, and told with the next block.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from mevflow.sinks.websocket.hub.wire import FeedBlock, Kind, dial, pack, pack_block

RETRY_S = 0.25

#: A hub that reads nothing for this long gets the rest from the thread. Handing over costs more than a short wait: the
#: thread needs the interpreter's lock for every part, and the stream holds it.
STALL_S = 0.001
SEND_BUFFER_BYTES = 4 << 20


class HubFeed:
    """A connection to the hub at ``path`` that mends itself. ``identity`` is what the hub's status shows."""

    def __init__(self, path: Path, identity: dict[str, Any], max_bytes: int = 16 << 20) -> None:
        self.dropped = 0
        self._path, self._max_bytes = path, max_bytes
        self._hello = pack(Kind.HELLO, msgspec.json.encode(identity))
        self._untold = 0  # dropped, and not yet said to the hub
        self._socket: socket.socket | None = None
        self._waiting: deque[tuple[memoryview, int]] = deque()  # the rest of a record, messages in it
        self._waiting_bytes = 0
        self._closing = False
        self._change = threading.Condition()
        self._connect()
        self._thread = threading.Thread(target=self._run, name="hub-feed", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the hub is there."""
        return self._socket is not None

    def send(self, channel: str, rows: pa.RecordBatch) -> None:
        """Hand over rows of ``wire.SCHEMA``, or drop them when the hub is away or far behind."""
        with self._change:
            if self._socket is None or self._waiting_bytes > self._max_bytes:
                self._drop(rows.num_rows)
                return
            record = memoryview(pack_block(FeedBlock(channel, rows, self._untold)))
            self._untold = 0
            if not self._waiting:
                try:
                    record = self._push(self._socket, record)
                except OSError:
                    self._disconnect()
                    self._drop(rows.num_rows)
                    return
            if record:
                self._waiting.append((record, rows.num_rows))
                self._waiting_bytes += len(record)
                self._change.notify()

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, within ``seconds``, and hang up."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(seconds)
        with self._change:
            self._disconnect()

    def _push(self, connection: socket.socket, record: memoryview) -> memoryview:
        """Write while the hub keeps reading; gives what is left."""
        while record:
            try:
                record = record[connection.send(record, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                if not select.select((), (connection,), (), STALL_S)[1]:
                    break
        return record

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._waiting and self._socket is not None and not self._closing:
                    self._change.wait()
                if self._closing and (not self._waiting or self._socket is None):
                    return
                if self._socket is None:
                    self._change.wait(RETRY_S)
                    if not self._closing:
                        self._connect()
                    continue
                connection, (record, _) = self._socket, self._waiting[0]
            self._send_on(connection, record)

    def _send_on(self, connection: socket.socket, record: memoryview) -> None:
        """Send some of the oldest record, outside the lock: only this thread takes from the queue's left."""
        try:
            sent = connection.send(record)
        except TimeoutError:
            return  # the hub is slow; look whether we are closing, and go on
        except OSError:
            with self._change:
                if self._socket is connection:
                    self._disconnect()
            return
        with self._change:
            if self._socket is not connection:
                return
            _, messages = self._waiting.popleft()
            self._waiting_bytes -= sent
            if record[sent:]:
                self._waiting.appendleft((record[sent:], messages))

    def _connect(self) -> None:
        with contextlib.suppress(OSError):
            connection = dial(self._path, 1.0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            connection.sendall(self._hello)
            self._socket = connection

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for _, messages in self._waiting:
            self._drop(messages)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._change.notify()

    def _drop(self, messages: int) -> None:
        self.dropped += messages
        self._untold += messages
