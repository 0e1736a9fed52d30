"""One connection, WebSocket or WebTransport: its filter, what waits for it, and what it has missed.

While the kernel and the transport take what is written, a frame is sent at once. Between ``pause_writing`` and
``resume_writing`` bodies wait in a queue that is bounded in bytes and in age: the oldest give way, counted, so a slow
client gets the newest there is together with the number of messages that it missed. The queue holds references to
bodies that all clients of a group share.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.frames import Body, greeting

#: Above this much in its transport a client counts as paused; the rest waits as shared bodies.
TRANSPORT_BYTES = 256 << 10

#: How long a client may take to answer a close frame.
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a slow client may keep waiting."""

    queue_bytes: int = 8 << 20
    max_age_s: float = 2.0
    stalled_s: float = 30.0


class Client(WSListener):
    """A client from its handshake to its end. ``subscribe`` and ``leave`` tell the hub."""

    def __init__(
        self,
        wanted: Filter,
        patience: Patience,
        subscribe: Callable[[Client, Filter], None],
        leave: Callable[[Client], None],
        *,
        admitted: bool = False,
    ) -> None:
        super().__init__()
        #: Whether the gateway has let it in.
        self.admitted = admitted
        self.wanted = wanted
        self.paused = False
        self.sequence = self.dropped_total = self.sent = 0
        #: Messages dropped, by why: ``feed`` (before the hub), ``full`` (too much waited), ``old`` (for too long).
        self.dropped_by: Counter[str] = Counter()
        self._dropped = 0
        self._patience = patience
        self._subscribe, self._leave = subscribe, leave
        self._queue: deque[tuple[Body, float]] = deque()
        self._queued_bytes = 0
        self._paused_at = 0.0
        self._connected_at = time.time()
        self._transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=TRANSPORT_BYTES)
        self._subscribe(self, self.wanted)
        self.offer(greeting())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
            return
        if transport.is_close_frame_sent or frame.msg_type in (WSMsgType.PING, WSMsgType.PONG):
            return
        if not frame.fin or frame.msg_type == WSMsgType.CONTINUATION:
            self.end(WSCloseCode.UNSUPPORTED_DATA, "a Subscribe is one frame")
            return
        read = Filter.from_json if frame.msg_type == WSMsgType.TEXT else Filter.from_protobuf
        self.told(read, frame.get_payload_as_bytes())

    def told(self, read: Callable[[bytes], Filter], data: bytes) -> None:
        """Take another filter, which ``read`` makes of what the client said."""
        try:
            wanted = read(data)
        except UsageError as error:
            self.end(WSCloseCode.INVALID_TEXT, str(error))
            return
        self._subscribe(self, wanted)
        self.offer(greeting())

    def on_ws_disconnected(self, transport: Any) -> None:
        self._transport = None
        self._queue.clear()
        self._leave(self)

    def pause_writing(self) -> None:
        self.paused = True
        self._paused_at = time.monotonic()

    def resume_writing(self) -> None:
        self.paused = False
        self._expire(time.monotonic())
        while self._queue and not self.paused:
            body, _ = self._queue.popleft()
            self._queued_bytes -= body.size
            self._send(body)
        if self._dropped and not self.paused:
            self._send(greeting())

    def offer(self, body: Body) -> None:
        """Send a body now, or keep it while the client reads slowly. Never blocks."""
        if not self.paused and not self._queue:
            self._send(body)
            return
        now = time.monotonic()
        self._queue.append((body, now))
        self._queued_bytes += body.size
        self._expire(now)

    def missed(self, messages: int) -> None:
        """Messages were lost before they reached the hub; the next frame says so."""
        self._lose(messages, "feed")

    def _lose(self, messages: int, reason: str) -> None:
        self._dropped += messages
        self.dropped_total += messages
        self.dropped_by[reason] += messages

    def close_if_stalled(self, now: float) -> bool:
        """End a connection that has taken nothing for ``stalled_s``; nothing more can be told to it. True if so."""
        if self.paused and now - self._paused_at > self._patience.stalled_s and self._transport is not None:
            self._transport.send_close(WSCloseCode.POLICY_VIOLATION, "too slow")
            self._transport.disconnect(graceful=False)
            return True
        return False

    def waiting(self) -> tuple[int, int]:
        """Messages and bytes that wait for it."""
        return sum(body.count for body, _ in list(self._queue)), self._queued_bytes

    def end(self, code: WSCloseCode, reason: str) -> None:
        """Say why, and hang up when the client has answered, or after a while."""
        transport = self._transport
        if transport is not None:
            # A close frame carries at most 123 bytes of reason.
            transport.send_close(code, reason.encode()[:123].decode(errors="ignore"))
            # Hanging up at once, with unread bytes from the client, would lose the close frame.
            asyncio.get_running_loop().call_later(CLOSE_S, transport.disconnect)

    def describe(self) -> dict[str, Any]:
        """For the status page."""
        peer = None
        if self._transport is not None:
            peer = self._transport.underlying_transport.get_extra_info("peername")
        return {
            "peer": f"{peer[0]}:{peer[1]}" if peer else "",
            "admitted": self.admitted,
            **self.wanted.describe(),
            "connected_s": round(time.time() - self._connected_at, 3),
            "sent": self.sent,
            "dropped": self.dropped_total,
            "waiting": sum(body.count for body, _ in self._queue),
            "paused": self.paused,
        }

    def _send(self, body: Body) -> None:
        if self._transport is None:
            return
        self.sequence += 1
        start = body.head(self.sequence, self._dropped, self.dropped_total)
        self._dropped = 0
        self.sent += body.count
        self._transport.send_reuse_external_bytearray(WSMsgType.BINARY, body.buffer, start)

    def _expire(self, now: float) -> None:
        """Let the oldest go until the rest is small and young enough."""
        while self._queue and (
            self._queued_bytes > self._patience.queue_bytes or now - self._queue[0][1] > self._patience.max_age_s
        ):
            reason = "full" if self._queued_bytes > self._patience.queue_bytes else "old"
            body, _ = self._queue.popleft()
            self._queued_bytes -= body.size
            self._lose(body.count, reason)
