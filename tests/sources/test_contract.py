"""Every source of the catalogue keeps the contract of ``mevflow.testing``, against a real broker and a real node."""

from __future__ import annotations

import random

import pytest

from mevflow.flows.spec import catalogue
from mevflow.operators.stage import StageContext
from mevflow.sources.evm.source import EvmSettings, EvmSource
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings
from mevflow.sources.solana.source import YellowstoneSettings, YellowstoneSource
from mevflow.testing import SOURCE_RULES, SourceCase
from tests.evm.chain import Chain
from tests.evm.world import World
from tests.sources.solana.node import Node, chain

ROWS, PARTITIONS = 6_000, 3
CONTEXT = StageContext("contract", "swaps")
COVERED = {"kafka.source", "evm.source", "yellowstone.source"}


@pytest.fixture(scope="module")
def filled(kafka_broker):
    """A topic with ROWS messages."""
    from confluent_kafka import Producer

    from mevflow.kafka.topics import TopicSpec, create

    create(kafka_broker, (TopicSpec("t-contract-source", PARTITIONS),))
    producer = Producer({"bootstrap.servers": kafka_broker, "log_level": 0})
    for n in range(ROWS):
        value = b"%d" % n
        producer.produce("t-contract-source", value, partition=n % PARTITIONS, timestamp=1_600_000_000_000 + n)
        producer.poll(0)
    assert producer.flush(60) == 0
    return "t-contract-source"


@pytest.mark.parametrize("ends", [True, False], ids=["bounded", "live"])
@pytest.mark.parametrize("rule", SOURCE_RULES)
def test_kafka_source(kafka_broker, filled, rule, ends):
    stops = dict.fromkeys(range(PARTITIONS), ROWS // PARTITIONS) if ends else None
    settings = KafkaSourceSettings(
        bootstrap=kafka_broker, topic=filled, start="earliest", stop_offsets=stops, max_rows=1_000
    )
    case = SourceCase(
        "kafka.source", lambda: KafkaSource(settings, CONTEXT), ROWS, ends=ends, ordered_by=("source_partition",)
    )
    SOURCE_RULES[rule](case)


@pytest.fixture(scope="module")
def blocks():
    """A chain with a few blocks of swaps: the settings to read it by, and its rows."""
    chain = Chain()
    world, chance = World(chain), random.Random(1)
    chain.mine(130)  # as many as a position remembers
    for _ in range(50):
        world.act(chance)
        world.act(chance)
        head = chain.mine()
    settings = EvmSettings(
        chain="evm-31337",
        endpoints=({"url": chain.url, "max_rps": 1e6},),
        start=0,
        poll_ms=10,
        pools={
            "factories": [
                {"address": "0x" + world.v2.hex(), "kind": "pairs", "fee_pips": 3000},
                {"address": "0x" + world.v3.hex(), "kind": "concentrated"},
            ]
        },
    )
    source, rows = EvmSource(settings, CONTEXT), 0
    source.open(None)
    while source.block is None or source.block <= head:
        rows += sum(batch.num_rows for _, batch in source.poll().batches)
    source.close()
    yield settings, rows
    chain.close()


@pytest.mark.parametrize("rule", SOURCE_RULES)
def test_evm_source(blocks, rule, monkeypatch):
    """Each beginning has a fork number of its own, by the clock: here they all have one."""
    monkeypatch.setattr("mevflow.sources.evm.follow.first_fork", lambda: 1_700_000_000)
    settings, rows = blocks
    SOURCE_RULES[rule](SourceCase("evm.source", lambda: EvmSource(settings, CONTEXT), rows, ends=False))


@pytest.fixture(scope="module")
def slots():
    """A node that streams some slots: the settings to read them by, and their rows."""
    node, streamed = Node(), chain(300)  # a quarter of them is as many as a position remembers
    node.say(*(update for block in streamed for update in block.updates()))
    settings = YellowstoneSettings(endpoints=[{"url": node.url}], start=streamed[0].slot)
    yield settings, 1 + sum(bool(amount) for block in streamed for amount in block.amounts)
    node.close()


@pytest.mark.parametrize("rule", SOURCE_RULES)
def test_yellowstone_source(slots, rule, monkeypatch):
    """As for the other chain, here every beginning is the same fork."""
    monkeypatch.setattr("mevflow.sources.solana.slots.first_fork", lambda: 1_700_000_000)
    settings, rows = slots
    SOURCE_RULES[rule](SourceCase("yellowstone.source", lambda: YellowstoneSource(settings, CONTEXT), rows, ends=False))


def test_the_cases_cover_every_source_of_the_catalogue():
    parts = {use: catalogue.part(use) for use in catalogue.BUILT_IN}
    assert {use for use, kind in parts.items() if catalogue.role(kind) == "source"} == COVERED
