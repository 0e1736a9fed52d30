"""A typed client of the control service, in two faces: ``Control`` blocks, ``AsyncControl`` is awaited.

>>> with Control("127.0.0.1:50051") as control:  # doctest: +SKIP
...     reply = control.apply("detect-live", "found", {"min_profit_usd": 0.1}, how=delivery(expected_version=3))
...     print(outcome(reply), reply.applied, "of", reply.expected)
CONVERGED 1 of 1

Every method takes what its namesake in ``mevflow.control.client.requests`` takes. Refusals are raised as ControlError,
a service that is not there as UnreachableError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as rpc
from grpc_status import rpc_status

from mevflow.control.client import requests
from mevflow.control.client.requests import delivery
from mevflow.operators.errors import CheckFailedError, MevflowError, UnreachableError, UsageError
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_service_pb2_grpc import ControlStub

__all__ = ["AsyncControl", "Control", "ControlError", "delivery", "outcome"]

P = ParamSpec("P")
R = TypeVar("R", bound=Message)

DEFAULT_ADDRESS = "127.0.0.1:50051"
_CALL_S = 15.0
_TOPOLOGY_S = 180.0
#: A check: until it is its turn, its process has started, and it is done. The service bounds each of them.
_CHECK_S = 100.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
_GATE = ("BELOW_THE_GATE", "UNREGISTERED", "UNSIGNED", "BAD_SIGNATURE", "DAMAGED_MODEL")
_USAGE = ("INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE")


def outcome(reply: pb.CommandReply) -> str:
    """A reply's outcome by name."""
    return pb.CommandReply.Outcome.Name(reply.outcome)


@dataclass
class ControlError(MevflowError):
    """A call that the service refused. ``code`` is the gRPC status by name, ``reason`` is for machines."""

    code: str = ""
    reason: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    preconditions: list[tuple[str, str, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """4 for a model at the gate, 2 for what the caller should change, else 1."""
        if self.reason in _GATE:
            return CheckFailedError.exit_code
        return UsageError.exit_code if self.code in _USAGE else MevflowError.exit_code

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.reason or self.code})"


def _error(error: grpc.RpcError, address: str) -> MevflowError:
    """What a failed call says, as ours."""
    call: Any = error
    code, message = call.code().name, call.details() or ""
    status = rpc_status.from_call(call)
    made = ControlError(message, code=code)
    for detail in status.details if status is not None else ():
        info, bad, unmet, retry = rpc.ErrorInfo(), rpc.BadRequest(), rpc.PreconditionFailure(), rpc.RetryInfo()
        if detail.Unpack(info):
            made.reason, made.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            made.fields = [(each.field, each.description) for each in bad.field_violations]
        elif detail.Unpack(unmet):
            made.preconditions = [(each.type, each.subject, each.description) for each in unmet.violations]
        elif detail.Unpack(retry):
            made.retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    made.hint = made.metadata.get("hint", "")
    if code == "UNAVAILABLE" and not made.reason:
        return UnreachableError(f"no control service answers at {address}", hint="mevflow control serve")
    return made


def _limit(request: Message, default_s: float) -> float:
    """Seconds that a call may take: what is waited for within it, and some more."""
    how = getattr(request, "delivery", request)
    waits_ms = int(getattr(how, "wait_ms", 0)) or int(getattr(request, "timeout_ms", 0))
    twice = 2 if getattr(how, "rollback", False) is True else 1
    return default_s + twice * waits_ms / 1000


@dataclass(frozen=True)
class ClientChannel:
    """How to reach a service. ``token`` is a bearer token; ``credentials`` are for TLS, and for mTLS."""

    address: str = DEFAULT_ADDRESS
    token: str | None = field(default=None, repr=False)
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)


def _unary(
    name: str, build: Callable[P, Message], reply: type[R], limit_s: float = _CALL_S
) -> Callable[Concatenate[Control, P], R]:
    def call(self: Control, /, *args: P.args, **kwargs: P.kwargs) -> R:
        request = build(*args, **kwargs)
        try:
            answer: R = getattr(self.stub, name)(
                request, timeout=_limit(request, limit_s), metadata=self.channel.metadata
            )
        except grpc.RpcError as error:
            raise _error(error, self.channel.address) from None
        return answer

    call.__name__, call.__doc__ = build.__name__, build.__doc__
    return call


def _stream(name: str, build: Callable[P, Message], reply: type[R]) -> Callable[Concatenate[Control, P], Iterator[R]]:
    def call(self: Control, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        answers = getattr(self.stub, name)(build(*args, **kwargs), metadata=self.channel.metadata)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise _error(error, self.channel.address) from None
        finally:
            answers.cancel()

    call.__name__, call.__doc__ = build.__name__, build.__doc__
    return call


def _async_unary(
    name: str, build: Callable[P, Message], reply: type[R], limit_s: float = _CALL_S
) -> Callable[Concatenate[AsyncControl, P], Awaitable[R]]:
    async def call(self: AsyncControl, /, *args: P.args, **kwargs: P.kwargs) -> R:
        request = build(*args, **kwargs)
        try:
            answer: R = await getattr(self.stub, name)(
                request, timeout=_limit(request, limit_s), metadata=self.channel.metadata
            )
        except grpc.RpcError as error:
            raise _error(error, self.channel.address) from None
        return answer

    call.__name__, call.__doc__ = build.__name__, build.__doc__
    return call


def _async_stream(
    name: str, build: Callable[P, Message], reply: type[R]
) -> Callable[Concatenate[AsyncControl, P], AsyncIterator[R]]:
    async def call(self: AsyncControl, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        answers = getattr(self.stub, name)(build(*args, **kwargs), metadata=self.channel.metadata)
        try:
            async for answer in answers:
                yield answer
        except grpc.RpcError as error:
            raise _error(error, self.channel.address) from None
        finally:
            answers.cancel()

    call.__name__, call.__doc__ = build.__name__, build.__doc__
    return call


class Control:
    """The face that blocks. Safe from several threads."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.channel = ClientChannel(address, token, credentials)
        self._open = (
            grpc.insecure_channel(address, _OPTIONS)
            if credentials is None
            else grpc.secure_channel(address, credentials, _OPTIONS)
        )
        self.stub: Any = ControlStub(self._open)

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._open.close()

    validate = _unary("Validate", requests.policy, pb.ValidateReply, _CHECK_S)
    plan = _unary("Plan", requests.policy, pb.PlanReply, _CHECK_S)
    apply = _unary("Apply", requests.apply, pb.CommandReply)
    rollback = _unary("Rollback", requests.rollback, pb.CommandReply)
    swap_model = _unary("SwapModel", requests.swap_model, pb.CommandReply)
    kill = _unary("Kill", requests.kill, pb.CommandReply)
    release = _unary("Release", requests.release, pb.CommandReply)
    command = _unary("Command", requests.command, pb.CommandReply)
    status = _unary("Status", requests.status, pb.StatusReply)
    history = _unary("History", requests.history, pb.HistoryReply)
    watch = _stream("Watch", requests.watch, pb.Event)
    watch_acks = _stream("WatchAcks", requests.watch_acks, pb.AckEvent)
    list_topologies = _unary("ListTopologies", requests.list_topologies, pb.ListTopologiesReply, _TOPOLOGY_S)
    validate_topology = _unary("ValidateTopology", requests.validate_topology, pb.ValidateTopologyReply, _TOPOLOGY_S)
    topology_status = _unary("TopologyStatus", requests.topology_status, pb.TopologyStatusReply)
    deploy = _unary("Deploy", requests.deploy, pb.TopologyReply, _TOPOLOGY_S)
    stop = _unary("Stop", requests.stop, pb.TopologyReply, _TOPOLOGY_S)
    rescale = _unary("Rescale", requests.rescale, pb.TopologyReply, _TOPOLOGY_S)
    plan_topology = _unary("PlanTopology", requests.plan_topology, pb.PlanTopologyReply, _TOPOLOGY_S)
    upgrade_topology = _unary("UpgradeTopology", requests.upgrade_topology, pb.TopologyReply, _TOPOLOGY_S)
    rollback_topology = _unary("RollbackTopology", requests.rollback_topology, pb.TopologyReply, _TOPOLOGY_S)
    replay = _stream("Replay", requests.replay, pb.ReplayEvent)


class AsyncControl:
    """The face that is awaited. Of one event loop."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.channel = ClientChannel(address, token, credentials)
        self._open = (
            grpc.aio.insecure_channel(address, _OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, _OPTIONS)
        )
        self.stub: Any = ControlStub(self._open)

    async def __aenter__(self) -> AsyncControl:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._open.close()

    validate = _async_unary("Validate", requests.policy, pb.ValidateReply, _CHECK_S)
    plan = _async_unary("Plan", requests.policy, pb.PlanReply, _CHECK_S)
    apply = _async_unary("Apply", requests.apply, pb.CommandReply)
    rollback = _async_unary("Rollback", requests.rollback, pb.CommandReply)
    swap_model = _async_unary("SwapModel", requests.swap_model, pb.CommandReply)
    kill = _async_unary("Kill", requests.kill, pb.CommandReply)
    release = _async_unary("Release", requests.release, pb.CommandReply)
    command = _async_unary("Command", requests.command, pb.CommandReply)
    status = _async_unary("Status", requests.status, pb.StatusReply)
    history = _async_unary("History", requests.history, pb.HistoryReply)
    watch = _async_stream("Watch", requests.watch, pb.Event)
    watch_acks = _async_stream("WatchAcks", requests.watch_acks, pb.AckEvent)
    list_topologies = _async_unary("ListTopologies", requests.list_topologies, pb.ListTopologiesReply, _TOPOLOGY_S)
    validate_topology = _async_unary(
        "ValidateTopology", requests.validate_topology, pb.ValidateTopologyReply, _TOPOLOGY_S
    )
    topology_status = _async_unary("TopologyStatus", requests.topology_status, pb.TopologyStatusReply)
    deploy = _async_unary("Deploy", requests.deploy, pb.TopologyReply, _TOPOLOGY_S)
    stop = _async_unary("Stop", requests.stop, pb.TopologyReply, _TOPOLOGY_S)
    rescale = _async_unary("Rescale", requests.rescale, pb.TopologyReply, _TOPOLOGY_S)
    plan_topology = _async_unary("PlanTopology", requests.plan_topology, pb.PlanTopologyReply, _TOPOLOGY_S)
    upgrade_topology = _async_unary("UpgradeTopology", requests.upgrade_topology, pb.TopologyReply, _TOPOLOGY_S)
    rollback_topology = _async_unary("RollbackTopology", requests.rollback_topology, pb.TopologyReply, _TOPOLOGY_S)
    replay = _async_stream("Replay", requests.replay, pb.ReplayEvent)
