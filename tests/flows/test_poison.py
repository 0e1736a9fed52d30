"""Records that no reader can use, through a whole shard: it goes on, says what it left out, and stops in order."""

import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from mevflow.flows.dead_letters.reading import letters
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.runtime.status import shard_status
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.kafka.topics import listing
from mevflow.processes.environment import environment
from mevflow.v1.market_pb2 import Swap

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}, recovery: {{epoch_s: 0.2}}}}
topologies:
  poisoned:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {topic}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      labelled: {{use: label, from: decoded}}
      wrapped: {{use: realtime.wrap, from: decoded, with: {{channel: swaps}}}}
      copy: {{use: kafka.sink, from: decoded, with: {{topic: {copy}, key: pool, dead_letters: {dlq}}}}}
      live: {{use: kafka.sink, from: wrapped, with: {{topic: {live}, key: pool, dead_letters: {dlq}}}}}
      kept: {{use: discard.sink, from: labelled.labels}}
      rejects: {{use: dlq.sink, from: [decoded.errors, labelled.errors], with: {{topic: {dlq}}}}}
"""


def swap(slot, **odd):
    whole = {
        "chain": 1, "slot": slot, "timestamp_us": 1_650_000_000_000_000 + slot % 100 * 1000, "venue": 1,
        "pool": b"p" * 32, "mint_in": b"a" * 32, "mint_out": b"b" * 32, "amount_in": bytes(16), "amount_out": bytes(16),
    }  # fmt: skip
    return Swap(**whole | odd).SerializeToString()


ODD = {
    "venue": swap(5, venue=99),
    "chain": swap(5, chain=-3),
    "width": swap(5, amount_in=b"\1" * 17),
    "slot": swap(1 << 63),
    "time": swap(5, timestamp_us=(1 << 63) - 1),
    "empty": b"",
    "garbage": b"\xff" * 1_048_000,
    "large": swap(5, signature=b"s" * 1_000_000),
}


@pytest.fixture
def shard(kafka_broker, make_topic, tmp_path):
    narrow = {name: make_topic(2, max_message_bytes=1_000_000) for name in ("copy", "live", "dlq")}
    topics = {"topic": make_topic(1), **narrow}
    file = tmp_path / "t.yaml"
    file.write_text(FILE.format(bootstrap=kafka_broker, **topics))
    layout = Layout.live(tmp_path / "var", "poisoned").make()
    shape = shape_of(resolve(load(file), "poisoned"))
    spec = RunSpec(str(file), "poisoned", str(layout.root), str(tmp_path / "var"), 1, shape, epoch_s=0.2).save()
    with layout.log(0).open("wb") as log:
        command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(spec), "0"]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    yield process, layout, topics
    if process.poll() is None:
        process.kill()
        process.wait()


def wait(shard, true, seconds=60):
    process, layout, _ = shard
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, layout.log(0).read_text()
        status = shard_status(layout, 0)
        if true(status):
            return status
        time.sleep(0.05)
    raise AssertionError(status)


def test_odd_records_become_letters_and_the_shard_goes_on(kafka_broker, shard):
    process, layout, topics = shard
    producer = Producer(
        {
            "bootstrap.servers": kafka_broker,
            "linger.ms": 1_000,
            "compression.type": "zstd",
            "message.max.bytes": 200_000_000,
            "batch.size": 200_000_000,
            "queue.buffering.max.kbytes": 400_000,
            "log_level": 0,
        }
    )

    def send(*values):
        for value in values:
            producer.produce(topics["topic"], value, partition=0, timestamp=1_650_000_000_000)
        assert producer.flush(30) == 0

    send(swap(1))
    for value in ODD.values():
        send(value)
    send(*[bytes(1_000_000)] * 70)  # one batch that librdkafka does not unpack
    send(swap(9))
    end = listing(kafka_broker, [topics["topic"]])[0].messages

    status = wait(shard, lambda s: s.get("caught_up") and "swaps" in s["notes"] and s["dead_letters"] >= 7)
    assert status["behind"] == 0
    assert any("70 records cannot be read" in note for note in status["notes"]["swaps"])
    process.terminate()
    assert process.wait(30) == 0, layout.log(0).read_text()
    found = {(letter.source.offset, letter.stage): letter for letter in letters(kafka_broker, topics["dlq"])}
    reasons = {key: letter.reason for key, letter in found.items()}
    places = {name: 1 + number for number, name in enumerate(ODD)}
    assert reasons[places["slot"], "decoded"] == reasons[places["time"], "decoded"] == "out_of_bounds"
    assert reasons[places["empty"], "decoded"] == reasons[places["garbage"], "decoded"] == "undecodable"
    assert found[places["garbage"], "decoded"].bytes == 1_048_000
    assert reasons[places["large"], "copy"] == reasons[places["large"], "live"] == "too_large"
    assert reasons[places["chain"], "labelled"] == "no_chain"
    assert reasons[end - 71, "decoded"] == "unreadable"
    sent = listing(kafka_broker, [topics["copy"]])[0].messages
    assert sent == 5  # both good ones, and those that only a stage behind decode refuses
