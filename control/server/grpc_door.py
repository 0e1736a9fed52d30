"""The gRPC server: ``mevflow.v1.Control``, health and reflection, on grpc.aio.

Messages are taken as bytes and parsed by the dispatcher, so that a malformed one is refused with INVALID_ARGUMENT, and
audited, like every other call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from mevflow.control.methods import METHODS
from mevflow.control.refusal import Refused
from mevflow.control.server.dispatch import SERVICE, Caller, Dispatcher
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.addresses import is_loopback

MAX_REQUEST_BYTES = 4 << 20
_MAX_REPLY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Door:
    """Where it listens; ``port`` 0 takes a free one. ``credentials`` None: without TLS."""

    host: str = "127.0.0.1"
    port: int = 50051
    credentials: grpc.ServerCredentials | None = None
    max_request_bytes: int = MAX_REQUEST_BYTES

    def check(self, authenticates: bool) -> None:
        """Without authentication only this machine may knock. Raises UsageError."""
        if not authenticates and not is_loopback(self.host):
            raise UsageError(
                f"without authentication the control service listens on loopback only, not on {self.host}",
                hint="configure authentication, or bind to 127.0.0.1",
            )


class Server:
    """Carries calls to a dispatcher."""

    def __init__(self, dispatcher: Dispatcher, door: Door) -> None:
        self._dispatcher, self._door = dispatcher, door
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", door.max_request_bytes),
                ("grpc.max_send_message_length", _MAX_REPLY_BYTES),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.absolute_max_metadata_size", 20 << 10),
                ("grpc.max_concurrent_streams", 200),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ],
            maximum_concurrent_rpcs=2_000,
        )
        handlers = {method.name: self._handler(method.name) for method in SERVICE.methods}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.address = ""

    def _handler(self, method: str) -> grpc.RpcMethodHandler:
        async def unary(request: bytes, context: Any) -> bytes:
            try:
                reply: Message = await self._dispatcher.call(method, request, _caller(context))
            except Refused as refused:
                await context.abort_with_status(_status(refused))
                raise  # it never comes here
            return reply.SerializeToString()

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            try:
                async for reply in self._dispatcher.stream(method, request, _caller(context)):
                    yield reply.SerializeToString()
            except Refused as refused:
                await context.abort_with_status(_status(refused))

        if METHODS[method].streams:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    async def start(self) -> None:
        """Listen. Raises MevflowError when the port is taken."""
        target = (
            f"[{self._door.host}]:{self._door.port}"
            if ":" in self._door.host
            else f"{self._door.host}:{self._door.port}"
        )
        try:
            if self._door.credentials is None:
                port = self._server.add_insecure_port(target)
            else:
                port = self._server.add_secure_port(target, self._door.credentials)
        except RuntimeError as error:
            raise MevflowError(
                f"the control service cannot listen on {target}", hint="another one runs there; choose another port"
            ) from error
        self.address = target.rpartition(":")[0] + f":{port}"
        await self._server.start()
        await self._serving(True)

    async def _serving(self, yes: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE.full_name):
            await self._health.set(name, status)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Say that it stops, take no new calls, and let those under way end."""
        await self._serving(False)
        await self._server.stop(grace_s)


def _caller(context: Any) -> Caller:
    metadata = {key.lower(): value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    auth = context.auth_context()
    names = auth.get("x509_common_name") or auth.get("x509_subject_alternative_name") or [b""]
    verified = auth.get("transport_security_type") == [b"ssl"] and names[0]
    left = context.time_remaining()
    return Caller(metadata, context.peer(), names[0].decode(errors="replace") if verified else None, left)


def _status(refused: Refused) -> Any:
    packed = []
    for detail in refused.details():
        each = AnyMessage()
        each.Pack(detail)
        packed.append(each)
    code = grpc.StatusCode[refused.code]
    return rpc_status.to_status(Status(code=code.value[0], message=refused.message, details=packed))
