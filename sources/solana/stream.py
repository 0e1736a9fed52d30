"""One stream of a Geyser endpoint (Yellowstone's ``Subscribe``): asked for, kept alive, bounded in silence."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import base58
import grpc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mevflow.operators.errors import UsageError
from mevflow.operators.stage import LocalPath
from mevflow.sources.evm.rpc import NodeError
from mevflow.v1 import geyser_pb2 as geyser

SERVICE = "/geyser.Geyser/"
TOKEN_VARIABLE = "YELLOWSTONE_X_TOKEN"
#: A block's largest message, with room.
_MOST_BYTES = 64 << 20
#: Messages that are read and not yet taken: the node is slowed down beyond that.
_READY = 4_096
_SCHEMES = {"http": False, "grpc": False, "https": True, "grpcs": True}
_NAME = "mevflow"


class GeyserEndpoint(BaseModel):
    """A node's Geyser plug-in: ``https://`` or ``grpcs://`` with TLS, ``http://`` or ``grpc://`` without.

    The x-token is read from ``token_file`` or, without one, from the environment variable ``token_env``, each time that
    a connection is made. ``silence_s``: a stream that says nothing for so long is dropped (nodes ping every 10 s).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str
    token_file: LocalPath | None = None
    token_env: str = TOKEN_VARIABLE
    silence_s: float = Field(30.0, gt=0, le=3_600)

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in _SCHEMES or not rest.strip("/"):
            raise ValueError("an address of http://, https://, grpc:// or grpcs://")
        return value

    @property
    def name(self) -> str:
        """Host and port: a path may hold a key."""
        return self.url.partition("://")[2].split("/")[0].rpartition("@")[2]

    def channel(self) -> grpc.Channel:
        """A connection that is not made yet."""
        options = [("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.keepalive_time_ms", 20_000)]
        secure = _SCHEMES[self.url.partition("://")[0]]
        target = self.name if ":" in self.name else f"{self.name}:{443 if secure else 80}"
        if secure:
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
        return grpc.insecure_channel(target, options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The x-token, if there is one. Raises UsageError for a file that cannot be read."""
        if self.token_file is None:
            token = os.environ.get(self.token_env, "")
        else:
            try:
                token = Path(self.token_file).read_text()
            except OSError as wrong:
                raise UsageError(f"the token cannot be read: {wrong.strerror}", file=self.token_file) from wrong
        return (("x-token", token.strip()),) if token.strip() else ()


def subscription(programs: Sequence[bytes], commitment: str, from_slot: int | None = None) -> geyser.SubscribeRequest:
    """What is asked for: the programs' transactions that succeeded, the ends of blocks, and what becomes of slots."""
    return geyser.SubscribeRequest(
        slots={_NAME: geyser.SlotsFilter(filter_by_commitment=False)},
        transactions={
            _NAME: geyser.TransactionsFilter(
                vote=False, failed=False, account_include=[base58.b58encode(one).decode() for one in programs]
            )
        },
        blocks_meta={_NAME: geyser.BlocksMetaFilter()},
        commitment=geyser.CONFIRMED if commitment == "confirmed" else geyser.PROCESSED,
        from_slot=from_slot,
    )


class GeyserStream:
    """An open ``Subscribe`` call. A thread reads it; pings are answered as they come."""

    def __init__(self, endpoint: GeyserEndpoint, request: geyser.SubscribeRequest) -> None:
        self._endpoint = endpoint
        self._channel = endpoint.channel()
        self._asked: queue.Queue[geyser.SubscribeRequest | None] = queue.Queue()
        self._asked.put(request)
        self._told: queue.Queue[geyser.SubscribeUpdate | grpc.RpcError | None] = queue.Queue(_READY)
        self._over = threading.Event()
        call = self._channel.stream_stream(
            SERVICE + "Subscribe",
            request_serializer=geyser.SubscribeRequest.SerializeToString,
            response_deserializer=geyser.SubscribeUpdate.FromString,
        )
        self._call: Any = call(iter(self._asked.get, None), metadata=endpoint.metadata())
        self._thread = threading.Thread(target=self._read, name="geyser", daemon=True)
        self._thread.start()

    def updates(self, stopped: threading.Event) -> Iterator[geyser.SubscribeUpdate]:
        """What the node says, until ``stopped``. Raises StreamError when it ends or falls silent."""
        heard = time.monotonic()
        while not stopped.is_set():
            try:
                told = self._told.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() - heard < self._endpoint.silence_s:
                    continue
                why = f"said nothing for {self._endpoint.silence_s:g} s"
                raise StreamError(why, self._endpoint.name, "SILENT") from None
            if isinstance(told, grpc.RpcError):
                raise _ended(told, self._endpoint) from told
            if told is None:
                raise StreamError("ended the stream", self._endpoint.name, "ENDED")
            yield told
            heard = time.monotonic()

    def close(self) -> None:
        """End the call, and let go of the connection."""
        self._over.set()
        self._asked.put(None)
        self._call.cancel()
        self._channel.close()
        self._thread.join()

    def _read(self) -> None:
        pings = 0
        end: grpc.RpcError | None = None
        try:
            for update in self._call:
                if update.WhichOneof("update") == "ping":
                    pings += 1
                    self._asked.put(geyser.SubscribeRequest(ping=geyser.PingRequest(id=pings)))
                self._put(update)
                if self._over.is_set():
                    return
        except grpc.RpcError as wrong:
            end = wrong
        self._put(end)

    def _put(self, told: geyser.SubscribeUpdate | grpc.RpcError | None) -> None:
        while not self._over.is_set():
            try:
                self._told.put(told, timeout=0.1)
                return
            except queue.Full:
                continue


class StreamError(NodeError):
    """A stream that ended. ``code`` is gRPC's, or ``SILENT``, ``ENDED``, ``UNTIMED``, ``IMPOSSIBLE`` or ``CROWDED``."""

    def __init__(self, message: str, key: str, code: str) -> None:
        super().__init__(message, key=key)
        self.code = code


def ask(endpoint: GeyserEndpoint, method: str, request: Any, reply: type[Any], timeout_s: float) -> Any:
    """One call that is no stream. Raises StreamError."""
    channel = endpoint.channel()
    try:
        call = channel.unary_unary(
            SERVICE + method, request_serializer=type(request).SerializeToString, response_deserializer=reply.FromString
        )
        return call(request, timeout=timeout_s, metadata=endpoint.metadata())
    except grpc.RpcError as wrong:
        raise _ended(wrong, endpoint) from wrong
    finally:
        channel.close()


def _ended(wrong: Any, endpoint: GeyserEndpoint) -> StreamError:
    code = wrong.code().name
    return StreamError(f"{code}: {str(wrong.details())[:200]}", endpoint.name, code)
