"""Every call passes here, whoever carries it: who calls, how often, whether they may; then the handler; then the audit.

Nothing is left out of the audit: a call that is refused, one that cannot be read and one that fails are written too.
Requests are written as JSON without their payloads' content (its size and hash stand for it).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError, Message

from mevflow.control.auth.identity import Authenticator, AuthError, Identity
from mevflow.control.commands.draft import CALL_ID, DEADLINE
from mevflow.control.methods import METHODS
from mevflow.control.refusal import Refused, invalid
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.timings import Timings
from mevflow.control.server.topologies import refusal_of
from mevflow.control.server.unproven import Unproven
from mevflow.control.topics.writer import Writer
from mevflow.operators.errors import MevflowError
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_pb2 import ControlAudit

SERVICE = pb.DESCRIPTOR.services_by_name["Control"]
_MAX_TEXT = 500
_MAX_REQUEST = 4_000
_TELL_S = 5.0
#: How often a stream's caller is looked at again.
RECHECK_S = 1.0
#: In a field that repeats: what looks at them one by one takes some 10 µs for each.
MAX_ITEMS = 1_000
#: Fields whose content is not for the audit.
_CONTENT = ("payload", "yaml")

#: A request, its protobuf bytes, or what makes it (and may refuse to) once it is known who calls.
Given = Message | bytes | Callable[[], Message]

log = structlog.get_logger("mevflow.control")


@dataclass(frozen=True, slots=True)
class Caller:
    """How a call came in. ``metadata``: header names in lower case. ``time_left_s``: None without a deadline."""

    metadata: Mapping[str, str]
    peer: str
    tls_identity: str | None = None
    time_left_s: float | None = None


@dataclass(frozen=True, slots=True)
class CallRoute:
    """One method: what it takes, and what answers it."""

    name: str
    request: type[Message]
    handler: Callable[..., Any]


class Dispatcher:
    """``call`` and ``stream`` are for the carriers; both raise Refused and nothing else."""

    def __init__(self, handlers: Handlers, authenticator: Authenticator, writer: Writer) -> None:
        self._auth, self._writer = authenticator, writer
        self.timings = Timings()
        self._unproven = Unproven()
        self._telling: asyncio.TimerHandle | None = None
        # Ids of calls: random by process, counted within it. A random one each would cost a call to the kernel.
        self._prefix, self._numbers = uuid.uuid4().hex[:20], itertools.count()
        self.routes = {
            method.name: CallRoute(
                method.name, getattr(pb, method.input_type.name), getattr(handlers, _snake(method.name))
            )
            for method in SERVICE.methods
        }

    def admit(self, caller: Caller, method: str) -> Identity:
        """Who calls, if they may. Raises AuthError."""
        identity = self._auth.authenticate(caller.metadata, caller.peer, caller.tls_identity)
        try:
            self._auth.limit(identity, method)
            self._auth.authorise(identity, method)
        except AuthError as error:
            error.identity = error.identity or identity
            raise
        return identity

    def expects(self, caller: Caller, method: str) -> bool:
        """Whether the caller may make this call, as far as can be said before it is one; nothing is counted."""
        try:
            self._auth.authorise(self._auth.authenticate(caller.metadata, caller.peer, caller.tls_identity), method)
        except AuthError:
            return False
        return True

    async def call(self, method: str, request: Given, caller: Caller) -> Any:
        """A call with one answer."""
        record = self._begin(method, caller)
        try:
            identity, parsed = self._prepare(method, request, caller, record)
            answer: Awaitable[Any] = self.routes[method].handler(parsed, identity)
            reply = await answer
        except BaseException as error:
            failure = self._failed(record, error)
            if failure is error:
                raise
            raise failure from error
        if isinstance(reply, pb.CommandReply):
            record.command_id, record.version = reply.command_id, reply.version
            record.outcome = pb.CommandReply.Outcome.Name(reply.outcome)
        self._end(record, "OK")
        return reply

    async def stream(self, method: str, request: Given, caller: Caller) -> AsyncGenerator[Any, None]:
        """A call with any number of answers. Its audit record is written when it begins, and when it fails.

        Whether its caller may still make it is looked at every second, whether or not there is anything to say.
        """
        record = self._begin(method, caller)
        try:
            identity, parsed = self._prepare(method, request, caller, record)
            self._end(record, "OK")
            async with contextlib.aclosing(self.routes[method].handler(parsed, identity)) as replies:
                async for reply in self._while_admitted(replies, method, caller):
                    yield reply
        except GeneratorExit:
            raise
        except BaseException as error:
            failure = self._failed(record, error)
            if failure is error:
                raise
            raise failure from error

    async def _while_admitted(self, replies: Any, method: str, caller: Caller) -> AsyncGenerator[Any, None]:
        """Replies until there are no more. Raises AuthError when the caller's key, token or role has gone."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        following: asyncio.Future[Any] = asyncio.ensure_future(anext(replies, None))
        try:
            while True:
                await asyncio.wait({following}, timeout=RECHECK_S)
                if loop.time() - looked >= RECHECK_S:
                    looked = loop.time()
                    identity = self._auth.authenticate(caller.metadata, caller.peer, caller.tls_identity)
                    self._auth.authorise(identity, method)
                if following.done():
                    reply = following.result()
                    if reply is None:
                        return
                    yield reply
                    following = asyncio.ensure_future(anext(replies, None))
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await following

    @contextlib.contextmanager
    def guard(self, method: str, caller: Caller) -> Iterator[tuple[Identity, ControlAudit]]:
        """A call of a carrier's own: admitted and audited like the others. The record's ``request`` may be set."""
        record = self._begin(method, caller)
        try:
            identity = self.admit(caller, method)
            record.identity, record.role = identity.name, str(identity.role)
            self._refuse_unaudited(method)
            yield identity, record
        except BaseException as error:
            failure = self._failed(record, error)
            if failure is error:
                raise
            raise failure from error
        self._end(record, "OK")

    def _begin(self, method: str, caller: Caller) -> ControlAudit:
        call_id = f"{self._prefix}{next(self._numbers):012x}"
        CALL_ID.set(call_id)
        DEADLINE.set(None if caller.time_left_s is None else time.monotonic() + caller.time_left_s)
        return ControlAudit(
            timestamp_us=time.time_ns() // 1000, call_id=call_id, peer=caller.peer[:_MAX_TEXT], method=method
        )

    def _prepare(self, method: str, request: Given, caller: Caller, record: ControlAudit) -> tuple[Identity, Message]:
        identity = self.admit(caller, method)
        record.identity, record.role = identity.name, str(identity.role)
        parsed = self._parse(method, request)
        _check_items(parsed)
        record.request = _shown(parsed)
        for field in ("topology", "target", "reason"):
            setattr(record, field, str(getattr(parsed, field, ""))[:_MAX_TEXT])
        record.topology = record.topology or str(getattr(parsed, "name", ""))[:_MAX_TEXT]
        record.target = record.target or str(getattr(parsed, "scope", ""))[:_MAX_TEXT]
        delivery = getattr(parsed, "delivery", parsed)
        record.idempotency_key = str(getattr(delivery, "idempotency_key", ""))[:_MAX_TEXT]
        if not record.reason:
            record.reason = str(getattr(delivery, "reason", ""))[:_MAX_TEXT]
        self._refuse_unaudited(method)
        return identity, parsed

    def _refuse_unaudited(self, method: str) -> None:
        """What cannot be written down is not done. Raises Refused."""
        if METHODS[method].changes and self._writer.audit_lost:
            self._writer.audit_lost = 0
            raise Refused("UNAVAILABLE", "AUDIT_UNAVAILABLE", "the audit log takes no records", retry_after_s=1.0)

    def _parse(self, method: str, request: Given) -> Message:
        if isinstance(request, Message):
            return request
        if callable(request):
            return request()
        try:
            return self.routes[method].request.FromString(request)
        except DecodeError as error:
            raise Refused("INVALID_ARGUMENT", "MALFORMED_MESSAGE", f"not a {method} request: {error}") from error

    def _failed(self, record: ControlAudit, error: BaseException) -> BaseException:
        """The audit of a call that was not answered, and what its carrier is to raise."""
        if isinstance(error, AuthError):
            identity = error.identity
            if identity is not None:
                record.identity, record.role = identity.name, str(identity.role)
            error = Refused(error.code, error.reason, error.message, retry_after_s=error.retry_after_s)
        elif isinstance(error, MevflowError):
            error = refusal_of(error)
        elif isinstance(error, Exception) and not isinstance(error, Refused):
            log.error("call_failed", method=record.method, call_id=record.call_id, exc_info=error)
            error = Refused(
                "INTERNAL",
                "INTERNAL",
                "the service failed; its log says why under this call",
                metadata={"call_id": record.call_id},
            )
        if isinstance(error, Refused):
            record.command_id = error.command_id
            record.detail = f"{error.reason}: {error.message}"[:_MAX_TEXT]
            self._end(record, error.code)
        else:
            self._end(record, "CANCELLED")
        return error

    def _end(self, record: ControlAudit, status: str) -> None:
        record.status = status
        if status != "UNAUTHENTICATED" or self._unproven.take(_address(record.peer), time.monotonic()):
            self._writer.audit(record)
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self._tell)
        took_ms = round((time.time_ns() // 1000 - record.timestamp_us) / 1000, 3)
        self.timings.add(record.method, took_ms, status, record.outcome)
        say = log.info if METHODS[record.method].changes or status != "OK" else log.debug
        say(
            "call",
            call_id=record.call_id,
            method=record.method,
            identity=record.identity,
            status=status,
            ms=took_ms,
            topology=record.topology,
            target=record.target,
            command_id=record.command_id,
            outcome=record.outcome,
            detail=record.detail,
        )

    def _tell(self) -> None:
        """One audit record an address for the calls without proof that got none of their own."""
        self._telling = None
        for address, calls in self._unproven.untold():
            record = ControlAudit(timestamp_us=time.time_ns() // 1000, peer=address, status="UNAUTHENTICATED")
            record.call_id = f"{self._prefix}{next(self._numbers):012x}"
            record.detail = f"{calls} more calls without proof of who calls"
            self._writer.audit(record)


def _address(peer: str) -> str:
    """A peer without its port."""
    return peer.rpartition(":")[0] or peer


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _check_items(request: Message) -> None:
    """Raise Refused for a request that repeats a field too often."""
    for field in request.DESCRIPTOR.fields:
        if field.is_repeated and len(getattr(request, field.name)) > MAX_ITEMS:
            raise invalid(field.name, f"has more than {MAX_ITEMS:,} items", "TOO_LARGE")


def _shown(request: Message) -> bytes:
    """A request as JSON; of contents only size and hash."""
    if not request.ByteSize():
        return b"{}"
    copy: Any = type(request)()
    copy.CopyFrom(request)
    stands: dict[str, str] = {}
    for field in _CONTENT:
        value = getattr(copy, field, b"")
        raw = value.encode() if isinstance(value, str) else value
        if raw:
            stands[field] = f"{len(raw)} bytes, blake2b {hashlib.blake2b(raw, digest_size=8).hexdigest()}"
            copy.ClearField(field)
    text = MessageToJson(copy, indent=None, preserving_proto_field_name=True)
    if stands:
        text = json.dumps({**json.loads(text), **stands})
    return text.encode()[:_MAX_REQUEST]
