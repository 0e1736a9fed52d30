"""A gateway on the folder's service, with keys, and a small client that speaks plain HTTP."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
import urllib3

from mevflow.clickhouse.client import connect
from mevflow.clickhouse.migrate import migrate
from mevflow.control.auth.authenticator import ProvenAuthenticator
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.limits import Rate, RateLimits
from mevflow.control.auth.tokens import Tokens
from mevflow.control.gateway.server import HttpDoor
from mevflow.control.server.dispatch import Dispatcher
from mevflow.flows.config import ClickHouseConfig
from tests.control.auth import conftest as auth

keys, make_authority = auth.keys, auth.make_authority
MANY = Rate(10_000, 10_000)


@dataclass
class Reply:
    status: int
    headers: dict
    raw: bytes

    @property
    def body(self):
        return json.loads(self.raw)


@dataclass
class Client:
    """Calls a gateway; ``token`` goes into every call."""

    address: str
    token: str = ""
    headers: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        self._pool = urllib3.PoolManager(retries=False, timeout=30, **self.options)

    async def __call__(self, verb, path, body=None, *, token=None, headers=None, raw=None):
        sent = {**self.headers, **(headers or {})}
        token = self.token if token is None else token
        if token:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("content-type", "application/json")

        def work():
            reply = self._pool.request(verb, self.address + path, body=raw, headers=sent)
            return Reply(reply.status, dict(reply.headers), reply.data)

        return await asyncio.to_thread(work)


@pytest_asyncio.fixture(loop_scope="session")
async def make_gateway(service, handlers):
    """Start gateways; stop them at the end of the test."""
    running = []

    async def make(authenticator, **options):
        door = HttpDoor(port=0, **options)
        gateway = door.beside(authenticator.authenticates)(service, Dispatcher(handlers, authenticator, service.writer))
        await gateway.start()
        running.append(gateway)
        return gateway.address

    yield make
    for gateway in running:
        await gateway.stop()


@pytest.fixture
def authenticator(keys):
    return ProvenAuthenticator(Tokens(KeyFolder(keys.folder)), None, RateLimits(MANY, MANY, MANY))


@pytest_asyncio.fixture(loop_scope="session")
async def call(make_gateway, authenticator, keys):
    """A client with an admin's token."""
    return Client(await make_gateway(authenticator, max_body=100_000), keys.token())


@pytest.fixture(scope="session")
def database(clickhouse_server):
    """A migrated database for the folder."""
    client = connect(clickhouse_server.host, clickhouse_server.port)
    migrate(client, "gateway")
    client.close()
    return "gateway"


@pytest_asyncio.fixture(loop_scope="session")
async def ask(make_gateway, authenticator, keys, clickhouse_server, database):
    """A client of a gateway that has ClickHouse."""
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    return Client(await make_gateway(authenticator, clickhouse=where), keys.token())


@pytest.fixture
def audited(service):
    """Wait for an audit record since the test began."""
    start = service.events.next

    async def wait(what):
        async with asyncio.timeout(10):
            async for _, record in service.events.follow(start):
                if what(record):
                    return record
        raise AssertionError("the events ended")

    return wait
