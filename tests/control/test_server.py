"""The gRPC door: health, reflection, limits, malformed messages, and an audit of every call."""

import asyncio

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2 as rpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from mevflow.control.auth.identity import AuthError, Identity, LocalAuthenticator, Role, require_role
from mevflow.control.client.client import AsyncControl, Control, ControlError, delivery, outcome
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_pb2 import ControlAudit


class Roles:
    """Believes who says who they are: a stand-in for a log-in, to test what the service does with its word."""

    authenticates = True

    def authenticate(self, metadata, peer, tls_identity):
        try:
            return Identity("bob", Role.of(metadata["x-role"]))
        except KeyError:
            raise AuthError("no role") from None

    def limit(self, identity, method):
        if method == "History":
            raise AuthError("too often", code="RESOURCE_EXHAUSTED", reason="RATE_LIMIT", retry_after_s=2.0)

    def authorise(self, identity, method):
        require_role(identity, method)


@pytest_asyncio.fixture(loop_scope="session")
async def address(service, handlers):
    server = Server(Dispatcher(handlers, Roles(), service.writer), Door(port=0, max_request_bytes=100_000))
    await server.start()
    yield server.address
    await server.stop(0.1)


def call(address, method, request, role="admin"):
    metadata = (("x-role", role),) if role else ()

    async def run():
        async with grpc.aio.insecure_channel(address) as channel:
            return await channel.unary_unary(f"/mevflow.v1.Control/{method}")(request, metadata=metadata, timeout=10)

    return run()


async def audited(service, start, what):
    async with asyncio.timeout(10):
        async for _, record in service.events.follow(start):
            if what(record):
                return record
    raise AssertionError("the events ended")


async def test_health_and_reflection(address):
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        reply = await health.Check(health_pb2.HealthCheckRequest(service="mevflow.v1.Control"))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING

    def reflected():
        with grpc.insecure_channel(address) as channel:
            known = ProtoReflectionDescriptorDatabase(channel)
            return known.get_services(), known.FindFileContainingSymbol("mevflow.v1.Control").service[0].method

    services, methods = await asyncio.to_thread(reflected)
    assert "mevflow.v1.Control" in services
    assert {method.name for method in methods} >= {"Apply", "Kill", "Watch"}


@pytest.mark.parametrize(
    ("method", "request_", "role", "code", "reason"),
    [
        ("Apply", b"\xff\xff\xff", "admin", "INVALID_ARGUMENT", "MALFORMED_MESSAGE"),
        ("Status", b"", "", "UNAUTHENTICATED", "UNAUTHENTICATED"),
        ("Kill", pb.KillRequest(topology="d-1").SerializeToString(), "viewer", "PERMISSION_DENIED", "ROLE_TOO_LOW"),
        ("Release", pb.ReleaseRequest(reason="x").SerializeToString(), "operator", "PERMISSION_DENIED", "ROLE_TOO_LOW"),
        ("History", b"", "viewer", "RESOURCE_EXHAUSTED", "RATE_LIMIT"),
    ],
)
async def test_what_is_refused_says_why_and_is_audited(service, address, method, request_, role, code, reason):
    start = service.events.next
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(address, method, request_, role)
    assert failed.value.code().name == code
    info = rpc.ErrorInfo()
    assert rpc_status.from_call(failed.value).details[0].Unpack(info)
    assert info.reason == reason
    record = await audited(service, start, lambda r: r.method == method and r.status == code)
    assert record.detail.startswith(reason)
    assert record.identity == ("bob" if role and code != "UNAUTHENTICATED" else "")


async def test_an_oversized_message_is_refused(address):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(address, "Apply", pb.ApplyRequest(payload=bytes(200_000)).SerializeToString())
    assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_audit_holds_no_payload(service, address, topology):
    start = service.events.next
    request = pb.PolicyRequest(topology=topology, target="found", payload=b'{"min_profit_usd": 0.123456}')
    await call(address, "Validate", request.SerializeToString(), "viewer")
    record = await audited(service, start, lambda r: r.method == "Validate")
    assert (record.identity, record.role, record.status, record.topology) == ("bob", "viewer", "OK", topology)
    assert b"28 bytes" in record.request
    assert b"0.123456" not in record.request


async def test_a_deadline_bounds_the_wait(service, handlers, topology, make_shard, heard):
    make_shard(lambda command: [])
    await heard(topology)
    server = Server(Dispatcher(handlers, LocalAuthenticator(), service.writer), Door(port=0))
    await server.start()
    request = pb.ApplyRequest(topology=topology, target="found", payload=b'{"min_profit_usd": 1}')
    async with grpc.aio.insecure_channel(server.address) as channel:
        raw = await channel.unary_unary("/mevflow.v1.Control/Apply")(request.SerializeToString(), timeout=1.0)
    assert pb.CommandReply.FromString(raw).outcome == pb.CommandReply.TIMED_OUT
    await server.stop(0.1)


def test_without_authentication_only_loopback():
    Door("127.0.0.1").check(False)
    Door("0.0.0.0").check(True)
    with pytest.raises(UsageError, match="loopback only"):
        Door("0.0.0.0").check(False)


async def test_both_faces_of_the_client(service, handlers, make_shard, heard, topology):
    make_shard()
    await heard(topology)
    server = Server(Dispatcher(handlers, LocalAuthenticator(), service.writer), Door(port=0))
    await server.start()
    async with AsyncControl(server.address) as control:
        reply = await control.apply(topology, "found", {"min_profit_usd": 1}, how=delivery(expected_version=0))
        assert (outcome(reply), reply.version) == ("CONVERGED", 1)
        with pytest.raises(ControlError) as refused:
            await control.apply(topology, "found", {"min_profit_usd": 1}, how=delivery(expected_version=9))
        assert (refused.value.code, refused.value.reason) == ("ABORTED", "VERSION_MISMATCH")
        assert refused.value.preconditions[0][0] == "VERSION"

    def blocking():
        with Control(server.address) as control:
            seen = next(iter(control.watch_acks(command_id=reply.command_id)))
            return control.plan(topology, "found", {"min_profit_usd": 2}), seen

    plan, seen = await asyncio.to_thread(blocking)
    assert (plan.version, plan.changes[0].path, seen.ack.command_id) == (1, "/min_profit_usd", reply.command_id)
    await server.stop(0.1)
    with pytest.raises(UnreachableError):
        await AsyncControl(server.address).status()


async def test_watching_resumes_at_an_offset(handlers, service):
    start = service.events.next
    for number in range(3):
        service.writer.audit(ControlAudit(method="Test", call_id=str(number), topology="w"))
    found = []
    async with asyncio.timeout(10):
        async for event in handlers.watch(pb.WatchRequest(from_offset=start, topology="w"), None):
            found.append((event.offset, event.record.call_id))
            if event.record.call_id == "2":
                break
        async for event in handlers.watch(pb.WatchRequest(from_offset=found[1][0], topology="w"), None):
            assert event.record.call_id == "1"
            break
    assert [call_id for _, call_id in found if call_id] == ["0", "1", "2"]
