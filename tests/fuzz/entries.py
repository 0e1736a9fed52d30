"""Where strangers' bytes come in. Each entry takes a list of inputs and says how many it refused in its own words."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow as pa
from google.protobuf.message import DecodeError

from mevflow.bench.market import SyntheticMarket
from mevflow.clickhouse.server.errors import ServerError
from mevflow.clickhouse.server.multipart import external_tables, parse_form
from mevflow.clickhouse.server.request import parse_request
from mevflow.clickhouse.server.statement import by_query_id, with_query_ids
from mevflow.clickhouse.server.statement import parse as parse_statement
from mevflow.control.gateway.calls import shape
from mevflow.control.gateway.sql import queries
from mevflow.control.gateway.sql.statement import check_text
from mevflow.control.gateway.sql.tree import check_tree
from mevflow.control.refusal import Refused
from mevflow.flows.spec.topology import parse as parse_topology
from mevflow.flows.steering.wellformed import fault_of
from mevflow.operators.addresses import address
from mevflow.operators.codec import COORDINATES, RAW, codec
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.logs import read_log
from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.wire import unpack_block
from mevflow.v1.control_pb2 import ControlCommand
from mevflow.v1.control_service_pb2 import ApplyRequest
from mevflow.v1.realtime_pb2 import Subscribe
from tests.fuzz import models, states
from tests.fuzz.mutate import mutated

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[[Sequence[bytes]], int]


@dataclass(frozen=True)
class Entry:
    """``share`` of all inputs go to ``run``, which raises nothing; ``batch`` at a time."""

    name: str
    seeds: Sequence[bytes]
    run: Run
    share: float
    batch: int = 1
    damage: Callable[[Random, Sequence[bytes]], bytes] = mutated


def entries() -> list[Entry]:
    """All of them."""
    return [*_decoders(), *_files(), *_doors(), *_statements(), *_models()]


def _each(call: Callable[[bytes], object], *refusals: type[Exception]) -> Run:
    def run(values: Sequence[bytes]) -> int:
        refused = 0
        for value in values:
            try:
                call(value)
            except refusals:
                refused += 1
        return refused

    return run


def _decoders() -> list[Entry]:
    market = SyntheticMarket(pools=20)
    swaps = codec("mevflow.v1.Swap").encode(next(market.swaps(200))).to_pylist()
    updates = codec("mevflow.v1.PoolUpdate").encode(market.updates()).to_pylist()
    seeds = {"Swap": swaps, "PoolUpdate": updates}
    seeds |= {name: [*swaps[:5], *updates[:5]] for name in ("DeadLetter", "ControlCommand", "RealtimeMessage")}
    return [
        Entry(f"decode {name}", tuple(seeds[name]), _decode(f"mevflow.v1.{name}"), share, 2_000)
        for name, share in (
            ("Swap", 0.10), ("PoolUpdate", 0.05), ("DeadLetter", 0.05), ("ControlCommand", 0.05),
            ("RealtimeMessage", 0.05),
        )
    ]  # fmt: skip


def _decode(message: str) -> Run:
    stage = Decode(DecodeSettings(message=message), StageContext("fuzz", "decoded"))

    def run(values: Sequence[bytes]) -> int:
        rows = len(values)
        columns = [
            pa.array(values, pa.binary()),
            pa.array(range(rows), pa.int64()),
            pa.array(["t"] * rows).cast(COORDINATES.field("source_topic").type),
            pa.array([0] * rows, pa.int32()),
            pa.array(range(rows), pa.int64()),
        ]
        refused = given = 0
        for port, batch in stage.process("in", pa.RecordBatch.from_arrays(columns, schema=RAW)):
            given += batch.num_rows
            refused += batch.num_rows if port == "errors" else 0
            name = message if port == "out" else "mevflow.v1.DeadLetter"
            codec(name).encode(batch)  # whatever passes can be sent on
        assert given == rows, f"{rows} rows in, {given} out"
        return refused

    return run


def _files() -> list[Entry]:
    day = ROOT / "examples/data/uniswap-v3-usdc_weth_0.05pct_0x88e6a0c2_2024-01-05.csv.gz"
    with gzip.open(day) as file:
        logs = file.read(200_000).splitlines()[1:200]
    specs = [path.read_bytes() for path in (ROOT / "topologies.yaml",)]
    small = b"""version: 1
topologies:
  a:
    nodes:
      s: {use: kafka.source, with: {topic: t, start: earliest}}
      d: {use: decode, from: s, with: {message: mevflow.v1.Swap}}
      k: {use: discard.sink, from: [d, d.errors]}
"""

    def read(value: bytes) -> None:
        read_log(value.decode("utf-8", "replace"))

    def spec(value: bytes) -> None:
        parse_topology(value.decode("utf-8", "replace"), Path("t.yaml"), None)

    return [
        Entry("Uniswap log line", tuple(logs), _each(read, ParseError), 0.1),
        Entry("topology file", (small, small, small, *specs), _each(spec, UsageError), 0.001),
    ]


def _doors() -> list[Entry]:
    pools = [b"0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", b"So11111111111111111111111111111111111111112"]
    query = [b"channels=a,b&pools=" + pools[0], b"channels=x", b"pools=" + b",".join(pools)]
    json = [b'{"channels": ["a", "b"], "pools": ["%b"]}' % pools[1], b'{"channels": []}']
    proto = [Subscribe(channels=["a"], pools=[b"p" * 32, b"q" * 20]).SerializeToString()]
    command = ControlCommand(command_id="c", topology="t", kind="pulse", version=1, nonce=b"n" * 16, payload=b"{}")
    issue = b'{"topology": "t", "kind": "arms", "payload": {"arms": [1.5, "1e3"]}, "reason": "x", "version": "7"}'
    target = b"/?query=SELECT%201&database=d&session_id=s&max_threads=2&param_a=1&wait_end_of_query=1"
    head = b"--b\r\nContent-Disposition: form-data; "
    form = head + b'name="query"\r\n\r\nSELECT 1\r\n' + head + b'name="t"; filename="t"\r\n\r\n1,2\r\n--b--\r\n'

    unreadable = (pa.ArrowException, ValueError, EOFError, OSError, struct.error)

    def from_query(value: bytes) -> None:
        Filter.from_query(value.decode("latin-1"))

    def request(value: bytes) -> None:
        parse_request("GET", value.decode("latin-1"), {}, {})

    def multipart(value: bytes) -> None:
        fields, files = parse_form("multipart/form-data; boundary=b", value)
        external_tables(fields, files)

    def block(value: bytes) -> None:
        unpack_block(value)

    return [
        Entry("WebSocket filter, URL", tuple(query), _each(from_query, UsageError), 0.08),
        Entry("WebSocket filter, JSON", tuple(json), _each(Filter.from_json, UsageError), 0.1),
        Entry("WebSocket filter, protobuf", tuple(proto), _each(Filter.from_protobuf, UsageError), 0.12),
        Entry("pool address", tuple(pools), _each(lambda v: address(v.decode("latin-1")), ValueError), 0.05),
        Entry("hub's block", (b"\0" * 40,), _each(block, *unreadable), 0.02),
        Entry("control command", (command.SerializeToString(),), _each(_command), 0.03),
        Entry("gateway JSON", (issue,), _each(lambda v: shape.parse(ApplyRequest, v, {}), Refused), 0.03),
        Entry("gateway query", (b'{"query": "SELECT {a:String}", "parameters": {"a": 1.5, "b": "x"}}',),
              _each(queries._read, Refused), 0.03),
        Entry("ClickHouse front, URL", (target,), _each(request, ServerError), 0.03),
        Entry("ClickHouse front, multipart", (form,), _each(multipart, ServerError), 0.004),
    ]  # fmt: skip


def _command(value: bytes) -> None:
    try:
        command = ControlCommand.FromString(value)
    except DecodeError:
        return
    fault_of(command)


def _statements() -> list[Entry]:
    texts = (
        b"SELECT arrayMap(x -> x + 1, [1, 2]) AS a, `b c` FROM t WHERE x = 'it''s' GROUP BY table FORMAT Native",
        b"WITH 1 AS a SELECT * FROM (SELECT 1) WHERE a IN (1, 2) LIMIT 5 SETTINGS max_threads = 1",
        b"INSERT INTO d.t (a, `b c`) SETTINGS async_insert=1 FORMAT CSV\n1,2",
        b"KILL QUERY WHERE query_id = 'a' SYNC",
        b"SELECT query_id FROM system.processes AS p -- why\n",
        b"SHOW TABLES LIKE 'a%'",
    )
    tree = b"""SelectWithUnionQuery (children 1)
 ExpressionList (children 1)
  SelectQuery (children 2)
   ExpressionList (children 1)
    Function plus (children 1)
     ExpressionList (children 2)
      Literal UInt64_1
      Identifier a
   TablesInSelectQuery (children 1)
    TablesInSelectQueryElement (children 1)
     TableExpression (children 1)
      TableIdentifier t
"""

    def front(value: bytes) -> None:
        text = value.decode("latin-1")
        parse_statement(text)
        by_query_id(text, "x")
        with_query_ids(text, "x")

    def check(value: bytes) -> None:
        check_tree(value.decode("utf-8", "replace"), "mevflow", frozenset(("plus",)))

    return [
        Entry("ClickHouse front, statement", texts, _each(front, ServerError), 0.01),
        Entry("gateway, words of a statement", texts, _each(lambda v: check_text(v.decode("latin-1")), Refused), 0.02),
        Entry("gateway, tree of a statement", (tree,), _each(check, Refused), 0.04),
    ]


def _models() -> list[Entry]:
    policies, pipelines = (
        models.TaughtStates(models.states_of_policies),
        models.TaughtStates(models.states_of_pipelines),
    )
    return [
        Entry("model command, policy", policies, models.to_policies(), 0.0042, damage=states.policy_state),
        Entry("model command, pipeline", pipelines, models.to_pipelines(), 0.0042, damage=states.pipeline_state),
    ]
