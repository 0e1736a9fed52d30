"""Who may call over HTTP: tokens, sessions, CSRF, limits, TLS, certificates; and an audit of every refusal."""

import json

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mevflow.control.auth.authenticator import ProvenAuthenticator
from mevflow.control.auth.certificates import Certificates
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.limits import Rate, RateLimits
from mevflow.control.auth.tls import TlsFiles
from mevflow.control.auth.tokens import Tokens
from mevflow.control.gateway.server import HttpDoor
from mevflow.control.server import dispatch
from mevflow.operators.errors import UsageError
from tests.control.gateway.conftest import MANY, Client

KILL = ("POST", "/api/control/kill-switch", {"topology": "d-0", "reason": "x"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "TOKEN_MISSING"),
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"aud": "else"}, "TOKEN_AUDIENCE"),
        ({"key": "", "algorithm": "none"}, "TOKEN_ALGORITHM"),
        ({"key": "x" * 32, "algorithm": "HS256"}, "TOKEN_ALGORITHM"),
        ({"header": {"kid": "nobody"}}, "KEY_UNKNOWN"),
    ],
)
async def test_a_call_without_proof_is_refused_and_audited(call, keys, audited, change, reason):
    token = "" if change is None else keys.token(**change)
    reply = await call(*KILL, token=token)
    assert (reply.status, reply.body["reason"]) == (401, reason)
    assert reply.headers["www-authenticate"].startswith("Bearer")
    record = await audited(lambda r: r.method == "Kill")
    assert (record.status, record.identity, record.detail.partition(":")[0]) == ("UNAUTHENTICATED", "", reason)
    assert not token or token.encode() not in record.SerializeToString()


async def test_no_secret_is_logged(call, keys, monkeypatch):
    token, expired = keys.token(), keys.token(exp=1)
    cookie = (await call("POST", "/api/session")).headers["set-cookie"].partition(";")[0]
    csrf = (await call("GET", "/api/session", token="", headers={"cookie": cookie})).body["csrf"]
    monkeypatch.setattr(dispatch, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as lines:
        await call(*KILL, token=expired)
        await call("GET", "/api/control/status", token=token)
        await call(*KILL, token="", headers={"cookie": cookie, "x-csrf-token": csrf + "x"})
        await call("POST", "/api/control/policy", {"payload": {"password": "hunter2"}})
    assert len(lines) >= 4
    for secret in (token, expired, cookie.partition("=")[2], csrf, "hunter2"):
        assert secret not in str(lines)


async def test_roles(call, keys, audited):
    for role, path, status in (
        ("viewer", "/api/control/kill-switch", 403),
        ("operator", "/api/control/kill-switch/release", 403),
        ("risk", "/api/topologies/d-0/deploy", 403),
    ):
        reply = await call("POST", path, {"reason": "x"} if "control" in path else {}, token=keys.token(role=role))
        assert (reply.status, reply.body["reason"]) == (status, "ROLE_TOO_LOW")
    record = await audited(lambda r: r.method == "Deploy")
    assert (record.status, record.identity, record.role) == ("PERMISSION_DENIED", "ann", "risk")


async def test_too_many_calls(make_gateway, keys, audited):
    limits = RateLimits(Rate(0.1, 2), MANY, MANY)
    call = Client(await make_gateway(ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, limits)), keys.token())
    assert [(await call("GET", "/api/control/status")).status for _ in range(3)] == [200, 200, 429]
    reply = await call("GET", "/api/control/status")
    assert int(reply.headers["retry-after"]) >= 1
    assert (await audited(lambda r: r.status == "RESOURCE_EXHAUSTED")).detail.startswith("RATE_LIMIT")


async def test_a_session_needs_its_csrf_token(call, keys, audited):
    login = await call("POST", "/api/session", token=keys.token(role="operator"))
    assert (login.status, login.body["role"]) == (200, "operator")
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert keys.token()[:20] not in cookie
    with_cookie = {"cookie": cookie.partition(";")[0]}
    assert (await call("GET", "/api/control/status", token="", headers=with_cookie)).status == 200
    for csrf in ({}, {"x-csrf-token": "guess"}, {"x-csrf-token": ""}, {"x-csrf-token": "ä"}):
        reply = await call(*KILL, token="", headers={**with_cookie, **csrf})
        assert (reply.status, reply.body["reason"]) == (403, "CSRF")
    assert (await audited(lambda r: r.method == "Kill")).detail.startswith("CSRF")
    good = {**with_cookie, "x-csrf-token": login.body["csrf"]}
    assert (await call(*KILL, token="", headers=good)).status == 200
    await call("POST", "/api/control/kill-switch/release", {"topology": "d-0", "reason": "over"})
    evil = await call(*KILL, token="", headers={**good, "origin": "https://evil.example"})
    assert evil.body["reason"] == "ORIGIN"
    assert (await call("GET", "/api/session", token="", headers=with_cookie)).body["csrf"] == login.body["csrf"]
    assert (await call("DELETE", "/api/session", token="", headers=with_cookie)).status == 403
    assert (await call("DELETE", "/api/session", token="", headers=good)).status == 204
    assert (await call("GET", "/api/control/status", token="", headers=good)).status == 401


async def test_a_session_ends_with_its_key(call, keys):
    login = await call("POST", "/api/session")
    with_cookie = {"cookie": login.headers["set-cookie"].partition(";")[0]}
    assert (await call("GET", "/api/control/status", token="", headers=with_cookie)).status == 200
    (keys.folder / "one.pem").unlink()
    assert (await call("GET", "/api/control/status", token="", headers=with_cookie)).body["reason"] == "KEY_UNKNOWN"
    assert (await call("POST", "/api/session", token="no")).status == 401


def test_an_open_door_is_refused():
    with pytest.raises(UsageError, match="loopback only"):
        HttpDoor("0.0.0.0").beside(True)
    with pytest.raises(UsageError, match="loopback only"):
        HttpDoor("0.0.0.0").beside(False)


async def test_certificates_over_https_and_its_channel(make_gateway, make_authority, tmp_path, keys):
    authority, other = make_authority(), make_authority("other")
    certificate, key = authority.make("server")
    roles = tmp_path / "roles.toml"
    roles.write_text('[identities]\n"desk" = "risk"\n')
    auth = ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), Certificates(roles), RateLimits(MANY, MANY, MANY))
    tls = TlsFiles(certificate, key, authority.file)
    address = await make_gateway(auth, context=tls.context())
    assert address.startswith("https://")

    def client(who, by=authority, **options):
        mine, its_key = by.make(who, **options)
        trust = {"ca_certs": str(authority.file), "cert_file": str(mine), "key_file": str(its_key)}
        return Client(address, options=trust), (mine, its_key)

    desk, files = client("desk")
    assert (await desk("GET", "/api/session")).body == {"name": "desk", "role": "risk", "csrf": None}
    nobody, _ = client("nobody")
    assert (await nobody("GET", "/api/session")).body["reason"] == "CERTIFICATE_UNKNOWN"
    assert (await nobody("GET", "/api/session", token=keys.token())).body["name"] == "ann"
    stranger, _ = client("desk2", other)
    for bad in (stranger, Client(address, options={"ca_certs": str(authority.file)})):
        with pytest.raises(Exception, match=r"(?i)certificate|alert|closed|reset|aborted|protocol"):
            await bad("GET", "/api/session")

    import ssl

    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(*files)
    async with connect(address.replace("https", "wss") + "/api/control/ws", ssl=context) as socket:
        await socket.send('{"id": 1, "call": "Deploy", "request": {"name": "d-0"}}')
        assert json.loads(await socket.recv())["error"]["reason"] == "ROLE_TOO_LOW"


async def test_a_channel_needs_proof_and_a_page_of_its_own(call, keys, audited):
    url = call.address.replace("http", "ws") + "/api/control/ws"
    for headers, status in (
        ({}, 401),
        ({"authorization": f"Bearer {keys.token(exp=1)}"}, 401),
        ({"authorization": f"Bearer {keys.token()}", "origin": "https://evil.example"}, 403),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers):
                pass
        assert refused.value.response.status_code == status
    assert (await audited(lambda r: r.method == "Channel")).status == "UNAUTHENTICATED"
