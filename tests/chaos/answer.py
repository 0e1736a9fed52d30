"""The answer of a run: every table's rows and every output topic's messages, without what names the run itself."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from mevflow.clickhouse.client import connect
from mevflow.flows.dead_letters.reading import letters
from mevflow.kafka.topics import listing
from tests.chaos.topologies import OUTPUTS
from tests.chaos.world import World

#: Written by the sink for itself, or the topic's own identity, which no two runs share.
_BOOKKEEPING = ("ingest_by", "ingest_seq", "source_incarnation")
#: The sink's own tables, and the migrations'.
_OWN = ("sink_claims", "sink_fences", "schema_migrations")


@dataclass
class Answer:
    """Tables count each row; topics hold each message once, for a sink to Kafka may send one again after a crash."""

    tables: dict[str, Counter[bytes]]
    topics: dict[str, frozenset[bytes]]
    sent_again: int


@dataclass
class Difference:
    """How an answer differs from the undisturbed one; ``where`` says it in words."""

    lost: int = 0
    doubled: int = 0
    where: list[str] = field(default_factory=list)


def answer_of(world: World) -> Answer:
    """Everything that the run of ``world`` has given."""
    prefix = world.prefix.encode()
    topics: dict[str, frozenset[bytes]] = {}
    again = 0
    for topic in OUTPUTS[world.kind]:
        values = _letters(world) if topic == "dlq" else _values(world.place.bootstrap, world.prefix + topic)
        topics[topic] = frozenset(value.replace(prefix, b"") for value in values)
        again += len(values) - len(topics[topic])
    return Answer(_tables(world), topics, again)


def _tables(world: World) -> dict[str, Counter[bytes]]:
    client = connect(port=world.place.clickhouse_port)
    try:
        columns = client.query(
            "SELECT table, groupArray(name) FROM system.columns WHERE database = {database:String} "
            "AND default_kind NOT IN ('EPHEMERAL') AND name NOT IN {own:Array(String)} GROUP BY table",
            parameters={"database": world.database, "own": list(_BOOKKEEPING)},
        ).result_rows
        found = {}
        for table, names in sorted(columns):
            if table in _OWN:
                continue
            chosen = ", ".join(f"`{name}`" for name in sorted(names))
            rows = client.raw_query(f"SELECT {chosen} FROM {world.database}.{table} FORMAT TabSeparated")
            found[table] = Counter(rows.replace(world.prefix.encode(), b"").splitlines())
        return found
    finally:
        client.close()


def blocks_of(world: World, found: Difference) -> list[str]:
    """Who stored what, of tables with a difference: a block that is there twice names its writers."""
    with connect(port=world.place.clickhouse_port) as client:
        return [
            f"{table}: {rows} rows of block {seq & 0xFFFFFFFF} of {by}, in {part}"
            for table in ("dead_letters", "raw_swaps_rows", "dex_pools", "mev_opportunities", "price_feeds")
            if any(line.startswith(f"table {table}:") for line in found.where)
            for by, seq, rows, part in client.query(
                "SELECT ingest_by, ingest_seq, count(), min(_part) "
                f"FROM {world.database}.{table} GROUP BY ALL ORDER BY ALL"
            ).result_rows
        ]


def _letters(world: World) -> list[bytes]:
    """Dead letters by what they are about: the rest of one tells when it was written."""
    return [
        f"{one.source.topic}[{one.source.partition}]@{one.source.offset} {one.stage} {one.reason}".encode()
        for one in letters(world.place.bootstrap, f"{world.prefix}dlq")
    ]


def _values(bootstrap: str, topic: str) -> list[bytes]:
    (info,) = listing(bootstrap, [topic])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "log_level": 0})
    consumer.assign([TopicPartition(topic, number, 0) for number in info.ends])
    found: list[bytes] = []
    while len(found) < info.messages:
        found += [message.value() or b"" for message in consumer.consume(5_000, 1.0) if message.error() is None]
    consumer.close()
    return found


def difference(answer: Answer, wanted: Answer) -> Difference:
    """Rows of ``wanted`` that are lost, and rows that are there more often than in it."""
    found = Difference()
    pairs = [(f"table {name}", answer.tables.get(name, Counter()), wanted.tables[name]) for name in wanted.tables]
    pairs += [(f"topic {name}", Counter(answer.topics[name]), Counter(wanted.topics[name])) for name in wanted.topics]
    for name, had, should in pairs:
        lost, more = should - had, had - should
        if lost or more:
            found.lost += lost.total()
            found.doubled += more.total()
            first = next(iter(lost or more))[:160]
            found.where.append(f"{name}: {lost.total()} lost, {more.total()} too many, e.g. {first!r}")
    return found
