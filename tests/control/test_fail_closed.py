"""What cannot be read lets nobody in, and what is no record stops nobody else."""

import asyncio
import shutil
import uuid

import grpc
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mevflow.control.auth import files
from mevflow.control.auth.authenticator import ProvenAuthenticator
from mevflow.control.auth.certificates import Certificates
from mevflow.control.auth.identity import AuthError, Identity, Role
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.limits import Rate, RateLimits
from mevflow.control.auth.tokens import Tokens
from mevflow.control.gateway.calls import channel
from mevflow.control.server import dispatch
from mevflow.control.server.service import Service, ServiceSettings
from mevflow.flows.steering.protocol import ACKS, AUDIT, COMMANDS, HEARTBEATS
from mevflow.kafka.topics import create
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand, Heartbeat
from mevflow.v1.control_service_pb2_grpc import ControlStub
from tests.control.auth import conftest as auth
from tests.control.auth.test_doors import make_door
from tests.control.conftest import CONTROL_TOPICS
from tests.control.gateway.conftest import make_gateway
from tests.plugins.kafka import running_broker

keys, make_authority = auth.keys, auth.make_authority
__all__ = ["make_door", "make_gateway"]
MANY = Rate(10_000, 10_000)
ANN = Identity("ann", Role.ADMIN)


@pytest.fixture(autouse=True)
def _promptly(monkeypatch):
    monkeypatch.setattr(files, "LOOK_S", 0.0)
    monkeypatch.setattr(files, "HALF_WRITTEN_S", 0.0)
    monkeypatch.setattr(dispatch, "RECHECK_S", 0.05)
    monkeypatch.setattr(channel, "_RECHECK_S", 0.05)


@pytest.fixture
def proven(keys):
    return ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, RateLimits(MANY, MANY, MANY))


@pytest.mark.parametrize("way", ["moved", "a file", "unreadable key", "empty"])
def test_keys_that_cannot_be_read_are_none(keys, way):
    tokens, token = Tokens(KeyFolder(keys.folder)), keys.token()
    assert tokens.verify(token).name == "ann"
    away = keys.folder.with_name("away")
    if way in ("moved", "a file"):
        keys.folder.rename(away)
        if way == "a file":
            keys.folder.write_text("x")
    else:
        shutil.copytree(keys.folder, away)
        (keys.folder / "one.pem").write_bytes(b"") if way == "unreadable key" else (keys.folder / "one.pem").unlink()
    for _ in range(2):
        with pytest.raises(AuthError, match="key"):
            tokens.verify(token)
    if keys.folder.is_file():
        keys.folder.unlink()
    shutil.rmtree(keys.folder, ignore_errors=True)
    away.rename(keys.folder)
    assert tokens.verify(token).name == "ann"


@pytest.mark.parametrize("content", [None, "", "[identities", "[identities]\nx = 'king'\n"])
def test_roles_that_cannot_be_read_are_none(tmp_path, content):
    file = tmp_path / "roles.toml"
    file.write_text("[identities]\ndesk = 'risk'\n")
    certificates = Certificates(file)
    assert certificates.identify("desk").role == Role.RISK
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(AuthError):
        certificates.identify("desk")
    file.write_text("[identities]\ndesk = 'viewer'\n")
    assert certificates.identify("desk").role == Role.VIEWER


@pytest.mark.parametrize("method", ["Watch", "WatchAcks"])
async def test_a_stream_ends_when_its_key_is_withdrawn(make_door, proven, keys, method):
    metadata = (("authorization", f"Bearer {keys.token()}"),)
    async with grpc.aio.insecure_channel(await make_door(proven)) as there:
        request = pb.WatchRequest() if method == "Watch" else pb.WatchAcksRequest()
        call = getattr(ControlStub(there), method)(request, metadata=metadata)
        reading = asyncio.create_task(_to_the_end(call))
        await asyncio.sleep(0.2)
        assert not reading.done()
        (keys.folder / "one.pem").unlink()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await reading
        assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def _to_the_end(call):
    async for _ in call:
        pass


async def test_a_websocket_ends_when_its_key_is_withdrawn(make_gateway, proven, keys):
    address = await make_gateway(proven)
    headers = {"authorization": f"Bearer {keys.token()}"}
    async with connect(address.replace("http", "ws") + "/api/control/ws", additional_headers=headers) as socket:
        (keys.folder / "one.pem").unlink()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1008


async def test_bad_records_are_left_out_alone(service, handlers, topology, kafka_broker, apply, make_shard, heard):
    from confluent_kafka import Producer

    make_shard()
    await heard(topology)
    reply = await apply()
    before = service.records.bad.total()
    producer = Producer({"bootstrap.servers": kafka_broker, "log_level": 0, "linger.ms": 200})
    ack = ControlAck(command_id=reply.command_id, topology=topology, run_id="x", status=99, stage="found")
    command = ControlCommand(kind="policy", topology=topology, target="found", version=(1 << 64) - 1)
    bad = [
        (ACKS, ack.SerializeToString()),
        (COMMANDS, command.SerializeToString()),
        (COMMANDS, ControlCommand(kind="nonsense", topology=topology).SerializeToString()),
        (AUDIT, ControlAudit(status="ISSUED", command=b"\xff\xff").SerializeToString()),
        *((topic, garbage) for topic in (ACKS, COMMANDS, HEARTBEATS, AUDIT) for garbage in (b"\xff\xff", b"\x08")),
    ]
    for topic, value in bad:
        producer.produce(topic, value, key=topic)
    mark = uuid.uuid4().hex
    producer.produce(HEARTBEATS, Heartbeat(topology=mark, shard=0, run_id="x").SerializeToString(), key="y")
    producer.produce(AUDIT, ControlAudit(method="Mark", detail=mark).SerializeToString())
    producer.produce(
        ACKS,
        ControlAck(command_id=reply.command_id, topology=topology, run_id="y", shard=7, status=1).SerializeToString(),
        key=ACKS,
    )
    assert await asyncio.to_thread(producer.flush, 20) == 0
    async with asyncio.timeout(20):
        while service.records.bad.total() < before + len(bad) or not service.roll.shards(mark):
            await asyncio.sleep(0.02)
        while 7 not in {
            ack.shard for ack in (await handlers.history(pb.HistoryRequest(topology=topology), ANN)).commands[0].answers
        }:
            await asyncio.sleep(0.02)
    history = await handlers.history(pb.HistoryRequest(topology=topology), ANN)
    assert history.commands[0].version == reply.version
    assert (await apply(0.2)).version == reply.version + 1


async def test_a_service_that_wants_signatures_takes_only_its_own(keys, tmp_path, topology, settings):
    with running_broker(tmp_path / "kafka") as bootstrap:
        create(bootstrap, CONTROL_TOPICS)
        signed = ServiceSettings(
            bootstrap, settings.file, tmp_path, signing_key=keys.private("one"), command_keys=keys.folder
        )
        from mevflow.control.server.handlers import Handlers

        async with Service(signed) as service:
            request = pb.ApplyRequest(topology=topology, target="found", payload=b'{"min_profit_usd": 1}')
            reply = await Handlers(service).apply(request, ANN)
            async with Service(ServiceSettings(bootstrap, settings.file, tmp_path)) as other:
                assert (await Handlers(other).apply(request, ANN)).version == reply.version + 1
            async with asyncio.timeout(20):
                while not service.records.bad[COMMANDS]:
                    await asyncio.sleep(0.02)
            held = service.ledger.in_force(topology, "policy", "found")
            assert held.current.command.command_id == reply.command_id
