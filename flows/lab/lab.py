"""Smoke tests of what runs: each a short, real use of one part, with its steps timed; the last runs are kept.

What a test makes (a topic, a table) bears a name of its own and is gone when it has ended.
"""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from mevflow.clickhouse.client import connect
from mevflow.flows.config import ClickHouseConfig
from mevflow.flows.messages.browse import PageRequest, read_page
from mevflow.flows.messages.look import MessageFilter
from mevflow.kafka.security import reach
from mevflow.kafka.topics import TopicSpec, admin_client, create
from mevflow.operators.codec import codec
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.private import open_private, private_folder, write_private
from mevflow.sinks.websocket.hub.wire import Kind, ask
from mevflow.v1.market_pb2 import Swap

KEPT = 50
_ROWS = 1_000
_SWAP = "mevflow.v1.Swap"
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a command: ``applied`` of ``expected`` shards of ``topology`` have done it."""

    topology: str
    expected: int
    applied: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Bench:
    """What the tests are about. ``command``: gives the shards of a topology that runs a command which
    changes nothing, and waits for their answers."""

    bootstrap: str
    clickhouse: ClickHouseConfig
    var: Path
    hub: Path | None
    command: Callable[[], Answered] | None = None


class LabStep(msgspec.Struct, frozen=True):
    """``took_ms``: how long it took."""

    name: str
    took_ms: float


class LabRun(msgspec.Struct, frozen=True):
    """One test that was run; ``error`` is empty when it passed."""

    test: str
    passed: bool
    began_us: int
    took_ms: float
    steps: list[LabStep]
    error: str = ""


class LabClock:
    """Times the steps of a run."""

    def __init__(self) -> None:
        self.steps: list[LabStep] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps.append(LabStep(name, round((time.monotonic() - began) * 1000, 1)))


def _swaps(count: int) -> list[bytes]:
    return [Swap(slot=n + 1, pool=bytes([n % 7]) * 32).SerializeToString() for n in range(count)]


def expect(there: bool, what: str) -> None:
    """Raises MevflowError with ``what`` is wrong."""
    if not there:
        raise MevflowError(what)


def broker_round_trip(bench: Bench, clock: LabClock) -> None:
    """A topic is made, 1,000 swaps are sent, read back decoded, and the topic is gone again."""
    from confluent_kafka import Producer

    name = f"lab-{uuid.uuid4().hex[:12]}"
    with clock.step("make a topic"):
        create(bench.bootstrap, (TopicSpec(name, 1),))
    try:
        with clock.step(f"send {_ROWS:,} messages"):
            producer = Producer({**reach(bench.bootstrap), "linger.ms": 5, "log_level": 0})
            for number, value in enumerate(_swaps(_ROWS)):
                producer.produce(name, value, partition=0, timestamp=number + 1)
            expect(producer.flush(_ANSWER_S) == 0, f"the broker took not all messages within {_ANSWER_S:g} s")
        with clock.step("read them back"):
            page = read_page(bench.bootstrap, PageRequest(name, MessageFilter(_SWAP), limit=_ROWS, start="earliest"))
        slots = [row["fields"]["slot"] for row in page.rows]
        expect(slots == list(range(1, _ROWS + 1)), f"{len(slots):,} of {_ROWS:,} messages came back in order")
    finally:
        with clock.step("delete the topic"), admin_client(bench.bootstrap) as client:
            client.delete_topics([name])


def decode_round_trip(bench: Bench, clock: LabClock) -> None:
    """Swaps become columns and bytes again."""
    values = pa.array(_swaps(20 * _ROWS), pa.binary())
    with clock.step("decode"):
        columns = codec(_SWAP).decode(values)
    with clock.step("encode"):
        again = codec(_SWAP).encode(columns)
    expect(again.equals(values), "what was encoded again is not what was decoded")


def clickhouse_write_read(bench: Bench, clock: LabClock) -> None:
    """A table is made, written, read and dropped."""
    where = bench.clickhouse
    with clock.step("connect"):
        client = connect(where.host, where.port, user=where.user, password=where.password.get_secret_value())
    table = f"{where.database}.lab_{uuid.uuid4().hex[:12]}"
    try:
        with clock.step("make a table"):
            client.command(f"CREATE TABLE {table} (n UInt64) ENGINE = Memory")
        with clock.step(f"write {_ROWS:,} rows"):
            client.insert(table, [[n] for n in range(_ROWS)], column_names=["n"])
        with clock.step("read them back"):
            found = client.query(f"SELECT count(), sum(n) FROM {table}").result_rows
        expect(list(found[0]) == [_ROWS, _ROWS * (_ROWS - 1) // 2], f"count and sum are {found[0]}")
    finally:
        with clock.step("drop the table"):
            client.command(f"DROP TABLE IF EXISTS {table}")
        client.close()


def hub_answers(bench: Bench, clock: LabClock) -> None:
    """The WebSocket hub says how it is."""
    expect(bench.hub is not None, "this gateway knows no hub")
    assert bench.hub is not None
    with clock.step("ask"):
        try:
            said = ask(bench.hub, Kind.STATUS, 5.0)
        except OSError as error:
            raise MevflowError(f"no hub answers: {error.strerror or error}", hint="mevflow hub start") from error
    expect("messages" in said, "its answer says nothing of messages")


SmokeTest = Callable[[Bench, LabClock], None]

TESTS: dict[str, SmokeTest] = {
    "broker": broker_round_trip,
    "decode": decode_round_trip,
    "clickhouse": clickhouse_write_read,
    "hub": hub_answers,
}


def run(bench: Bench, name: str, tests: Mapping[str, SmokeTest] = TESTS) -> LabRun:
    """Run one and keep what came of it. Raises UsageError when there is no such test."""
    test = tests.get(name)
    if test is None:
        raise UsageError(f"no test {name[:64]!r}", hint=", ".join(tests))
    clock, began, began_us, error = LabClock(), time.monotonic(), time.time_ns() // 1000, ""
    try:
        test(bench, clock)
    except Exception as failure:  # a smoke test tells whatever goes wrong
        error = f"{failure}"[:1_000] or type(failure).__name__
    took_ms = round((time.monotonic() - began) * 1000, 1)
    found = LabRun(name, not error, began_us, took_ms, clock.steps, error)
    _keep(bench.var, found)
    return found


def runs(var: Path) -> list[LabRun]:
    """The last runs, newest first."""
    try:
        return msgspec.json.decode(_file(var).read_bytes(), type=list[LabRun])
    except (OSError, msgspec.DecodeError):
        return []


def _keep(var: Path, found: LabRun) -> None:
    private_folder(_file(var).parent)
    with open_private(_file(var).with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_private(_file(var), msgspec.json.encode([found, *runs(var)][:KEPT]))


def _file(var: Path) -> Path:
    return var.absolute() / "lab" / "runs.json"
