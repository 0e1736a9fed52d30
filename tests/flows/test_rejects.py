"""A row that a sink cannot keep goes where the topology's dead letters go, and the dataflow goes on."""

import threading

import pytest

from mevflow.flows.dead_letters.reading import letters
from mevflow.flows.engine.compiler import compile_topology
from mevflow.flows.engine.meter import Meter
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from tests.sinks.clickhouse.rows import swap

_FILE = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
  clickhouse: {{port: {port}, database: {database}}}
topologies:
  archive:
    nodes:
      swaps:    {{use: kafka.source, with: {{topic: {topic}, start: earliest, stop_offsets: {{0: 11}}}}}}
      decoded:  {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      history:  {{use: clickhouse.sink, from: decoded}}
      rejects:  {{use: dlq.sink, from: decoded.errors, with: {{topic: {dlq}}}}}
"""


@pytest.mark.parametrize(
    "odd",
    [
        {"venue": 99},
        {"venue": -7},
        {"chain": -3},
        {"amount_in": b"\1" * 8},
        {"amount_in": b"\1" * 17},
        {"timestamp_us": 1 << 62},  # beyond what decode lets pass: the sink is not asked
    ],
    ids=str,
)
def test_an_odd_record_is_a_dead_letter_on_the_topic(
    tmp_path, kafka_broker, make_topic, send, clickhouse_server, clickhouse_database, clickhouse_client, odd
):
    from bytewax.run import cli_main

    topic, dlq = make_topic(1), make_topic(1)
    rows = [swap(number, **(odd if number == 5 else {})) for number in range(11)]
    send(topic, [(0, 1_000 + number, row.SerializeToString()) for number, row in enumerate(rows)])
    path = tmp_path / "topologies.yaml"
    path.write_text(
        _FILE.format(
            bootstrap=kafka_broker, port=clickhouse_server.port, database=clickhouse_database, topic=topic, dlq=dlq
        )
    )
    meter = Meter(None, {})
    flow = compile_topology(resolve(load(path), "archive"), meter=meter, drain=threading.Event())
    cli_main(flow)
    found = list(letters(kafka_broker, dlq))
    early = "timestamp_us" in odd
    stage, reason = ("decoded", "out_of_bounds") if early else ("history", "cannot be stored")
    assert [(str(letter.source), letter.stage, letter.reason) for letter in found] == [(f"{topic}[0]@5", stage, reason)]
    assert found[0].payload == rows[5].SerializeToString()
    stored = clickhouse_client.query(
        f"SELECT groupArray(source_offset) FROM (SELECT source_offset FROM {clickhouse_database}.raw_swaps ORDER BY 1)"
    ).result_rows
    assert stored == [([number for number in range(11) if number != 5],)]
    assert meter._nodes[stage]["rejected"] == 1
