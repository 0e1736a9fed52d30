"""Dead letters from a bad message to its replay, through the commands that people use."""

import json
import time

import pyarrow as pa
import pytest
from click.testing import CliRunner

from mevflow.cli.dlq import command
from mevflow.flows import dead_letters
from mevflow.flows.config import config
from mevflow.flows.dead_letters import Place, find, letters, replay
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import StageContext
from mevflow.sinks.dlq import DeadLetterSettings, DeadLetterSink
from mevflow.sources.kafka.source import KafkaSettings, KafkaSource


@pytest.fixture
def dead(kafka_broker, make_topic, send, monkeypatch):
    """A topic with a good and two bad messages, decoded, and the dead letters' topic."""
    topic, dlq = make_topic(3), make_topic(4)
    send(topic, [(2, 5000, b"\x08\x01"), (2, 6000, b"\xff\xff not protobuf"), (1, 7000, b"\xff bad too")])
    source = KafkaSource(
        KafkaSettings(bootstrap=kafka_broker, topic=topic, start="earliest", stop_offsets={0: 0, 1: 1, 2: 2}),
        StageContext("t", "swaps"),
    )
    decode = Decode(DecodeSettings(message="mevflow.v1.Swap"), StageContext("t", "decoded"))
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
    source.open(None)
    sink.open(None)
    good = 0
    while True:
        poll = source.poll()
        for _, raw in poll.batches:
            for port, batch in decode.process("in", raw):
                if port == "errors":
                    sink.write(batch)
                else:
                    good += batch.num_rows
        if poll.ended:
            break
        time.sleep(0.001)
    sink.snapshot()
    sink.close()
    source.close()
    assert good == 1
    monkeypatch.setattr(dead_letters, "TOPIC", dlq)
    return topic, dlq


def test_from_a_bad_message_to_its_replay(kafka_broker, dead, make_topic):
    topic, dlq = dead
    found = {str(letter.source): letter for letter in letters(kafka_broker, dlq)}
    assert set(found) == {f"{topic}[2]@1", f"{topic}[1]@0"}
    letter = found[f"{topic}[2]@1"]
    assert letter.payload == b"\xff\xff not protobuf"
    assert (letter.reason, letter.stage, letter.timestamp_us) == ("undecodable", "decoded", 6_000_000)
    assert find(kafka_broker, Place(topic, 2, 1), dlq) == letter
    assert find(kafka_broker, letter.at, dlq) == letter
    sent, left = replay(kafka_broker, [letter])
    assert (sent, left) == ([letter], [])
    again = KafkaSource(
        KafkaSettings(bootstrap=kafka_broker, topic=topic, start_offsets={2: 2}, stop_offsets={2: 3}),
        StageContext("t", "again"),
    )
    again.open(None)
    rows = []
    while not (poll := again.poll()).ended or poll.batches:
        rows += [row for _, batch in poll.batches for row in batch.to_pylist()]
        if poll.ended:
            break
        time.sleep(0.001)
    again.close()
    assert [(row["value"], row["timestamp_us"]) for row in rows] == [(letter.payload, 6_000_000)]


def test_letters_from_files_are_left_out(kafka_broker, make_topic):
    from mevflow.operators.codec import ERRORS

    dlq = make_topic(1)
    row = dict.fromkeys(ERRORS.names, "") | {
        "topic": "day.jsonl.gz",
        "partition": 0,
        "offset": 12,
        "timestamp_us": 0,
        "payload": b"{",
    }
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
    sink.open(None)
    sink.write(pa.RecordBatch.from_pylist([row], ERRORS))
    sink.snapshot()
    sink.close()
    found = list(letters(kafka_broker, dlq))
    assert [str(letter.source) for letter in found] == ["day.jsonl.gz[0]@12"]
    assert replay(kafka_broker, found) == ([], found)


def test_coordinates():
    assert Place.parse("a.b-c[3]@17") == Place("a.b-c", 3, 17)
    assert Place.parse(str(Place("t[1]", 2, 3))) == Place("t[1]", 2, 3)
    for wrong in ("t", "t[1]", "t@3", "t[x]@1"):
        with pytest.raises(UsageError):
            Place.parse(wrong)


def test_the_commands(kafka_broker, send, monkeypatch):
    from mevflow.kafka.topics import create

    create(kafka_broker)
    monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", kafka_broker)
    config.cache_clear()
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker), StageContext("t", "rejects"))
    from mevflow.operators.codec import ERRORS

    row = dict.fromkeys(ERRORS.names, "x") | {"topic": "outcomes-proto", "partition": 1, "offset": 5, "timestamp_us": 9}
    sink.open(None)
    sink.write(pa.RecordBatch.from_pylist([row | {"payload": b"raw"}], ERRORS))
    sink.snapshot()
    sink.close()
    run = CliRunner().invoke
    # Other tests share the broker and its dlq.
    found = [json.loads(line) for line in run(command, ["list", "--json"]).stdout.splitlines()]
    listed = [one for one in found if one["source"].startswith("outcomes-proto")]
    assert [one["source"] for one in listed] == ["outcomes-proto[1]@5"]
    assert "outcomes-proto[1]@5" in run(command, ["list"]).stdout
    shown = json.loads(run(command, ["show", listed[0]["at"], "--json"]).stdout)
    assert bytes.fromhex(shown["payload"]) == b"raw"
    sent = json.loads(run(command, ["replay", "outcomes-proto[1]@5", "--json"]).stdout)
    assert sent == {"sent": ["outcomes-proto[1]@5"], "left_out": []}
    assert isinstance(run(command, ["replay"]).exception, UsageError)
    config.cache_clear()
