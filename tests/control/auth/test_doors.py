"""The gRPC door with the real authenticator: proof of who calls, roles, limits, TLS and client certificates."""

import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2 as rpc
from grpc_status import rpc_status

from mevflow.control.auth.authenticator import ProvenAuthenticator
from mevflow.control.auth.certificates import Certificates
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.limits import Rate, RateLimits
from mevflow.control.auth.tls import TlsFiles
from mevflow.control.auth.tokens import Tokens
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.v1 import control_service_pb2 as pb

MANY = Rate(10_000, 10_000)
KILL = pb.KillRequest(topology="d-0", reason="x").SerializeToString()


@pytest_asyncio.fixture(loop_scope="session")
async def make_door(service, handlers):
    """Start servers; stop them at the end of the test."""
    running = []

    async def make(authenticator, **options):
        server = Server(Dispatcher(handlers, authenticator, service.writer), Door(port=0, **options))
        await server.start()
        running.append(server)
        return server.address

    yield make
    for server in running:
        await server.stop(0.1)


async def refusal(channel, method, request=b"", token=""):
    """(status, reason) of a refused call; ("OK", "") of another."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    try:
        await channel.unary_unary(f"/mevflow.v1.Control/{method}")(request, metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        info = rpc.ErrorInfo()
        status = rpc_status.from_call(error)
        if status is not None:
            status.details[0].Unpack(info)
        return error.code().name, info.reason
    return "OK", ""


async def test_proof_and_roles(make_door, keys, service):
    auth = ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, RateLimits(MANY, MANY, MANY))
    start = service.events.next
    tried = [
        ("Kill", "", "UNAUTHENTICATED", "TOKEN_MISSING"),
        ("Kill", "noise", "UNAUTHENTICATED", "TOKEN_MALFORMED"),
        ("Kill", keys.token(exp=1), "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        ("Kill", keys.token(aud="else"), "UNAUTHENTICATED", "TOKEN_AUDIENCE"),
        ("Kill", keys.token(key="", algorithm="none"), "UNAUTHENTICATED", "TOKEN_ALGORITHM"),
        ("Kill", keys.token(key=Ed25519PrivateKey.generate()), "UNAUTHENTICATED", "TOKEN_SIGNATURE"),
        ("Kill", keys.token(role="viewer"), "PERMISSION_DENIED", "ROLE_TOO_LOW"),
        ("Release", keys.token(role="operator"), "PERMISSION_DENIED", "ROLE_TOO_LOW"),
        ("Deploy", keys.token(role="risk"), "PERMISSION_DENIED", "ROLE_TOO_LOW"),
        ("Status", keys.token(role="viewer"), "OK", ""),
    ]
    async with grpc.aio.insecure_channel(await make_door(auth)) as channel:
        for method, token, code, reason in tried:
            request = KILL if method == "Kill" else b""
            assert await refusal(channel, method, request, token) == (code, reason), (method, reason)
    seen = []
    async for _, record in service.events.follow(start):
        seen.append((record.method, record.status))
        assert not any(token and token.encode() in record.SerializeToString() for _, token, _, _ in tried)
        if record.method == "Status" and record.status == "OK":
            break
    assert [pair for pair in seen if pair in {(t[0], t[2]) for t in tried}][-len(tried) :] == [
        (method, code) for method, _, code, _ in tried
    ]


async def test_too_many_calls_do_not_use_up_the_kill_switch(make_door, keys):
    limits = RateLimits(Rate(0.01, 1), Rate(0.01, 1), Rate(0.01, 1))
    auth = ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, limits)
    async with grpc.aio.insecure_channel(await make_door(auth)) as channel:
        assert await refusal(channel, "Status", token=keys.token()) == ("OK", "")
        assert await refusal(channel, "Status", token=keys.token()) == ("RESOURCE_EXHAUSTED", "RATE_LIMIT")
        # Another token of the same name is the same caller.
        assert await refusal(channel, "History", token=keys.token(jti="2")) == ("RESOURCE_EXHAUSTED", "RATE_LIMIT")
        assert await refusal(channel, "Kill", b"\xff", keys.token()) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")


async def test_certificates(make_door, make_authority, tmp_path):
    authority, other = make_authority(), make_authority("other")
    certificate, key = authority.make("server")
    roles = tmp_path / "roles.toml"
    roles.write_text('[identities]\n"desk" = "operator"\n')
    auth = ProvenAuthenticator(None, Certificates(roles), RateLimits(MANY, MANY, MANY))
    address = await make_door(auth, credentials=TlsFiles(certificate, key, authority.file).credentials())

    def channel(maker, name, **options):
        mine, its_key = maker.make(name, **options)
        trust = authority.file.read_bytes()
        return grpc.aio.secure_channel(
            address, grpc.ssl_channel_credentials(trust, its_key.read_bytes(), mine.read_bytes())
        )

    async with channel(authority, "desk") as desk:
        assert await refusal(desk, "Status") == ("OK", "")
        assert await refusal(desk, "Release") == ("PERMISSION_DENIED", "ROLE_TOO_LOW")
    async with channel(authority, "nobody") as nobody:
        assert await refusal(nobody, "Status") == ("UNAUTHENTICATED", "CERTIFICATE_UNKNOWN")
    async with channel(other, "desk2") as stranger:
        assert await refusal(stranger, "Status") == ("UNAVAILABLE", "")
    bare = grpc.ssl_channel_credentials(authority.file.read_bytes())
    async with grpc.aio.secure_channel(address, bare) as without:
        assert await refusal(without, "Status") == ("UNAVAILABLE", "")
    async with grpc.aio.insecure_channel(address) as plain:
        assert await refusal(plain, "Status") == ("UNAVAILABLE", "")


async def test_large_metadata_is_refused_and_others_are_answered(make_door, keys):
    auth = ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, RateLimits(MANY, MANY, MANY))
    async with grpc.aio.insecure_channel(await make_door(auth)) as channel:
        status = channel.unary_unary("/mevflow.v1.Control/Status")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await status(b"", metadata=(("x", "a" * 100_000),), timeout=10)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await refusal(channel, "Status", token=keys.token()) == ("OK", "")
