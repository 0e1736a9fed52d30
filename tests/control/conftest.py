"""A control service on the real broker, and shards that are small real Kafka clients with a will of their own."""

import asyncio
import threading
import time
import uuid
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import DecodeError

from mevflow.control.auth.identity import Identity, LocalAuthenticator, Role
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.service import Service, ServiceSettings
from mevflow.flows.steering.protocol import ACKS, COMMANDS, HEARTBEATS, heartbeat_key
from mevflow.kafka.topics import TOPICS, create
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_pb2 import ControlAck, ControlCommand, Heartbeat
from mevflow.v1.control_service_pb2_grpc import ControlStub
from tests.plugins.kafka import running_broker

CONTROL_TOPICS = tuple(spec for spec in TOPICS if spec.name.startswith("control-"))
ANN = Identity("ann", Role.ADMIN)
NAMES = [f"d-{number}" for number in range(60)]
TOPOLOGY = """\
  {name}:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: dex-swaps-proto}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      found: {{use: arbitrage.detect, from: {{swaps: decoded}}, with: {{registry: "{registry}"}}}}
      history: {{use: clickhouse.sink, from: found.opportunities}}
      rejects: {{use: dlq.sink, from: [decoded.errors, found.errors]}}
"""


class ActingShard:
    """One shard of one stage. ``will`` maps a command to the statuses that it answers, each with a delay in seconds."""

    def __init__(self, bootstrap, topology, shard=0, stage="found", will=None, shards=1):
        self.bootstrap, self.topology, self.shard, self.stage, self.shards = bootstrap, topology, shard, stage, shards
        self.will = will or (lambda command: [(0.0, "APPLIED", "")])
        self.run_id = uuid.uuid4().hex
        self.seen, self.versions = [], {}
        self._stop = threading.Event()
        self._threads = []

    def start(self, from_start=False):
        """Join. ``from_start`` reads the log first, as a shard does (not by default: tests share it)."""
        from confluent_kafka import Consumer, Producer, TopicPartition

        self._stop.clear()
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "log_level": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        begin, end = self._consumer.get_watermark_offsets(TopicPartition(COMMANDS, 0), timeout=20)
        self._consumer.assign([TopicPartition(COMMANDS, 0, begin if from_start else end)])
        self._beat()
        assert self._producer.flush(20) == 0
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._beats)]
        for thread in self._threads:
            thread.start()
        return self

    def die(self, stopping=False):
        """End without a word, or with one."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if stopping:
            self._beat(stopping=True)
        self._producer.flush(20)
        self._consumer.close()
        self._threads = []

    def restart(self):
        """Come back as another run that reads what is in force."""
        self.run_id = uuid.uuid4().hex
        return self.start(from_start=True)

    def _beat(self, **fields):
        row = Heartbeat(
            topology=self.topology,
            shard=self.shard,
            shards=self.shards,
            run_id=self.run_id,
            timestamp_us=time.time_ns() // 1000,
            **fields,
        )
        self._producer.produce(HEARTBEATS, row.SerializeToString(), key=heartbeat_key(self.topology, self.shard))

    def _beats(self):
        while not self._stop.wait(0.3):
            self._beat()
            self._producer.poll(0)

    def _read(self):
        while not self._stop.is_set():
            message = self._consumer.poll(0.05)
            if message is None or message.error() is not None or message.value() is None:
                continue
            try:
                command = ControlCommand.FromString(message.value())
            except DecodeError:  # as a shard does: the topic is everyone's, and a bad record is left out alone
                continue
            if command.kind == "pulse" or command.topology not in ("", self.topology):
                continue
            self.seen.append(command)
            for delay, status, reason in self.will(command):
                if delay:
                    threading.Timer(delay, self.ack, (command, status, reason)).start()
                else:
                    self.ack(command, status, reason)

    def ack(self, command, status="APPLIED", reason=""):
        row = ControlAck(
            command_id=command.command_id,
            topology=self.topology,
            shard=self.shard,
            run_id=self.run_id,
            version=command.version,
            nonce=command.nonce,
            status=status,
            reason=reason,
            stage=self.stage if command.kind in ("policy", "model") else "",
            offset=-1,
            timestamp_us=time.time_ns() // 1000,
        )
        self._producer.produce(ACKS, row.SerializeToString(), key=command.command_id)
        self._producer.poll(0)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory):
    """A broker of this folder's own: pulses and kills are for every shard that hears of them."""
    with running_broker(tmp_path_factory.mktemp("control-kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def settings(kafka_broker, tmp_path_factory):
    """Of services whose topology file has a topology for each test to have one of its own."""
    create(kafka_broker, CONTROL_TOPICS)
    folder = tmp_path_factory.mktemp("control")
    registry = folder / "pools.yaml"
    registry.write_text("tokens: []\n")
    (folder / "topologies.yaml").write_text(
        f"version: 1\ndefaults: {{kafka: {{bootstrap: {kafka_broker}}}}}\ntopologies:\n"
        + "".join(TOPOLOGY.format(name=name, registry=registry) for name in NAMES)
    )
    return ServiceSettings(kafka_broker, folder / "topologies.yaml", folder / "var")


@pytest.fixture(scope="session")
def _names():
    return iter(NAMES)


@pytest.fixture
def topology(_names):
    return next(_names)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def service(settings):
    async with Service(settings) as running:
        yield running


@pytest.fixture
def handlers(service):
    return Handlers(service)


@pytest_asyncio.fixture(loop_scope="session")
async def stub(service, handlers):
    """A gRPC stub of the service, over a socket."""
    server = Server(Dispatcher(handlers, LocalAuthenticator(), service.writer), Door(port=0))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield ControlStub(channel)
    await server.stop(0.1)


@pytest.fixture
def make_shard(kafka_broker, topology):
    made = []

    def make(will=None, **options):
        made.append(ActingShard(kafka_broker, topology, will=will, **options).start())
        return made[-1]

    yield make
    for shard in made:
        if shard._threads:
            shard.die()


@pytest.fixture
def apply(handlers, topology):
    """Apply a policy to the topology's detector."""

    def call(profit=0.05, identity=ANN, **delivery):
        payload = b'{"min_profit_usd": %.3f}' % profit
        request = pb.ApplyRequest(topology=topology, target="found", payload=payload, delivery=pb.Delivery(**delivery))
        return handlers.apply(request, identity)

    return call


@pytest.fixture
def heard(service):
    """Wait until the service has heard of so many shards of a topology."""

    async def wait(topology, count=1):
        async with asyncio.timeout(60):
            while len(service.roll.shards(topology)) != count:
                await asyncio.sleep(0.02)

    return wait


def pytest_collection_modifyitems(items):
    """One event loop, so that one service serves all tests of the folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
