"""Bytes that are no message, and messages that make no sense, over gRPC: refused and audited, never a fault within."""

import asyncio

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.control.auth.identity import LocalAuthenticator
from mevflow.control.methods import METHODS
from mevflow.control.server.dispatch import SERVICE, Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.v1 import control_service_pb2 as pb
from tests.control.auth.conftest import THREADS_DRAW

_READS = ("Validate", "Plan", "Status", "History", "ValidateTopology", "TopologyStatus")
_GOOD = pb.PolicyRequest(topology="d-0", target="found", kind="policy", payload=b'{"min_profit_usd": 1}')
_KINDS = {method.name: getattr(pb, method.input_type.name) for method in SERVICE.methods}


def _damaged(message, cuts):
    """A good message with bytes put in, changed and left out."""
    data = bytearray(message)
    for at, byte in cuts:
        place = at % max(1, len(data))
        data[place : place + 1 + at % 2] = bytes([byte]) * (at % 3)
    return bytes(data)


_BYTES = st.one_of(
    st.binary(max_size=80),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6).map(
        lambda cuts: _damaged(_GOOD.SerializeToString(), cuts)
    ),
)


def _parses(method, raw):
    try:
        _KINDS[method].FromString(raw)
    except DecodeError:
        return False
    return True


@pytest_asyncio.fixture(loop_scope="session")
async def channel(service, handlers):
    server = Server(Dispatcher(handlers, LocalAuthenticator(), service.writer), Door(port=0))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel
    await server.stop(0.1)


async def code_of(channel, method, raw):
    path = f"/mevflow.v1.Control/{method}"
    try:
        if METHODS[method].streams:
            async for _ in channel.unary_stream(path)(raw, timeout=10):
                break
        else:
            await channel.unary_unary(path)(raw, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize("method", _KINDS)
async def test_what_is_no_message_is_refused_by_every_method(channel, service, method):
    """Also by those that would change something: what does not parse does nothing."""
    start = service.events.next
    raws = (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 200, b"\x0a\x05ab")
    for raw in raws:
        assert not _parses(method, raw)
        assert await code_of(channel, method, raw) == "INVALID_ARGUMENT", raw
    left = len(raws)
    async for _, record in service.events.follow(start):
        if record.method == method:
            assert (record.status, record.detail.partition(":")[0]) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
            left -= 1
        if not left:
            break


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("WatchAcks", pb.WatchAcksRequest(from_positions=[pb.AckPosition()] * 1_001)),
        ("ValidateTopology", pb.ValidateTopologyRequest(names=[""] * 100_000)),
        ("Validate", pb.PolicyRequest(topology="d-0", target="found", payload=b'{"a": [' + b"[]," * 60_000 + b"[]]}")),
        ("Plan", pb.PolicyRequest(topology="d-0", target="found", payload=b'{"a": [' + b"0," * 120_000 + b"0]}")),
    ],
)
async def test_what_repeats_without_end_is_refused_before_it_is_looked_at(channel, service, method, request_):
    """Four megabytes of empty items kept every other call waiting for ten seconds."""
    start = service.events.next
    assert await code_of(channel, method, request_.SerializeToString()) == "INVALID_ARGUMENT"
    async for _, record in service.events.follow(start):
        if record.method == method:
            assert record.detail.partition(":")[0] in ("TOO_LARGE", "PAYLOAD_TOO_LARGE")
            break


@THREADS_DRAW
async def test_noise_never_fails_inside(channel):
    loop = asyncio.get_running_loop()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(_READS), _BYTES)
    def noise(method, raw):
        code = asyncio.run_coroutine_threadsafe(code_of(channel, method, raw), loop).result(20)
        allowed = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
        assert code in (allowed if _parses(method, raw) else allowed[1:2]), (method, raw, code)

    await asyncio.to_thread(noise)
