"""A window of slots: what is read, and what is kept."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from mevflow.flows.replay import plan as replay
from mevflow.flows.runtime.deploy import environment
from mevflow.flows.runtime.window import SlotWindow
from mevflow.operators.errors import UsageError
from mevflow.v1.market_pb2 import Swap

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}}}
topologies:
  label:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {topic}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      labelled: {{use: label, from: decoded}}
      kept: {{use: discard.sink, from: [labelled.labels, decoded.errors, labelled.errors]}}
"""


def arbitrage(slot, chain=1):
    """The two swaps of a closed cycle. Four slots share a block time."""
    shared = {"chain": chain, "slot": slot, "timestamp_us": slot // 4 * 1_000_000, "signature": b"%064d" % slot}
    legs = ((b"a" * 32, b"b" * 32, 5, 7), (b"b" * 32, b"a" * 32, 7, 9))
    return [
        Swap(
            **shared, signer=b"s" * 32, pool=bytes([ix]) * 32, mint_in=mint_in, mint_out=mint_out, ix_index=ix, venue=1,
            amount_in=paid.to_bytes(16, "little"), amount_out=got.to_bytes(16, "little"),
        )
        for ix, (mint_in, mint_out, paid, got) in enumerate(legs)
    ]  # fmt: skip


@pytest.fixture
def file(kafka_broker, make_topic, send, tmp_path):
    topic = make_topic(2)
    swaps = [swap for slot in range(40, 60) for swap in arbitrage(slot)]
    swaps += [swap for slot in range(40, 44) for swap in arbitrage(slot, chain=2)]
    send(topic, [(swap.ix_index, swap.timestamp_us // 1000, swap.SerializeToString()) for swap in swaps])
    path = tmp_path / "t.yaml"
    path.write_text(FILE.format(bootstrap=kafka_broker, topic=topic))
    return path


def test_the_results_are_those_of_the_slots(file, tmp_path):
    slots = SlotWindow(1, 45, 51)
    plan = replay.plan(file, "label", tmp_path, "r", from_us=None, to_us=None, to_clickhouse=False, slots=slots)
    assert (plan.from_us, plan.to_us) == (11_000_000, 12_000_001)
    replay.prepare(plan.spec)
    command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(plan.spec.layout.spec), "0"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    labels = pq.read_table(plan.spec.layout.results / "Label.parquet").to_pylist()
    assert [(label["chain"], label["slot"]) for label in labels] == [(1, slot) for slot in range(45, 51)]


def test_slots_that_nothing_lies_in_are_refused(file, tmp_path):
    slots = SlotWindow(1, 1_000, None)
    with pytest.raises(UsageError, match="no row of chain 1 lies in these slots"):
        replay.plan(file, "label", tmp_path, "r", from_us=None, to_us=None, to_clickhouse=False, slots=slots)
