"""Dead letters from a bad message to its replay, through the commands that people use."""

import json
import time
from contextlib import suppress

import pyarrow as pa
import pytest
from click.testing import CliRunner

from mevflow.cli.dlq import command
from mevflow.flows.config import config
from mevflow.flows.dead_letters import reading
from mevflow.flows.dead_letters.desk import completed, purge, replay
from mevflow.flows.dead_letters.reading import Place, find, find_all, letters
from mevflow.kafka.topics import TopicSpec, create, listing
from mevflow.operators.codec import ERRORS
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import StageContext
from mevflow.sinks.kafka.dlq import DeadLetterSettings, DeadLetterSink
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings
from tests.flows.test_claims import wait_for
from tests.plugins.kafka import running_broker

WHOLE = {"size": 0, "sha256": b""}


def values(bootstrap, topic):
    """All values on a topic."""
    ends = {p: stop for p, (_, stop) in listing(bootstrap, [topic])[0].ends.items()}
    source = KafkaSource(
        KafkaSourceSettings(bootstrap=bootstrap, topic=topic, start="earliest", stop_offsets=ends),
        StageContext("t", "all"),
    )
    source.open(None)
    found, ended = [], False
    while not ended:
        poll = source.poll()
        found += [value for _, batch in poll.batches for value in batch.column("value").to_pylist()]
        ended = poll.ended
        time.sleep(0.001)
    source.close()
    return found


@pytest.fixture
def dead(kafka_broker, make_topic, send, monkeypatch):
    """A topic with a good and two bad messages, decoded, and the dead letters' topic."""
    topic, dlq = make_topic(3), make_topic(4)
    send(topic, [(2, 5000, b"\x08\x01"), (2, 6000, b"\xff\xff not protobuf"), (1, 7000, b"\xff bad too")])
    source = KafkaSource(
        KafkaSourceSettings(bootstrap=kafka_broker, topic=topic, start="earliest", stop_offsets={0: 0, 1: 1, 2: 2}),
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
    monkeypatch.setattr(reading, "TOPIC", dlq)
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
    found = replay(kafka_broker, lambda one: one.key == letter.key, dlq=dlq)
    assert [one.source for one in found.done] == [letter.source]
    assert not found.left_out
    again = KafkaSource(
        KafkaSourceSettings(bootstrap=kafka_broker, topic=topic, start_offsets={2: 2}, stop_offsets={2: 3}),
        StageContext("t", "again"),
    )

    def readable():
        """The broker ends a transaction some time after it has said that it will."""
        with suppress(UsageError):
            again.open(None)
            return True
        return False

    wait_for(readable)
    rows = []
    while not (poll := again.poll()).ended or poll.batches:
        rows += [row for _, batch in poll.batches for row in batch.to_pylist()]
        if poll.ended:
            break
        time.sleep(0.001)
    again.close()
    assert [(row["value"], row["timestamp_us"]) for row in rows] == [(letter.payload, 6_000_000)]


def test_letters_from_files_are_left_out(kafka_broker, make_topic):
    dlq = make_topic(1)
    row = (
        dict.fromkeys(ERRORS.names, "")
        | WHOLE
        | {
            "topic": "day.jsonl.gz",
            "partition": 0,
            "offset": 12,
            "timestamp_us": 0,
            "payload": b"{",
        }
    )
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
    sink.open(None)
    sink.write(pa.RecordBatch.from_pylist([row], ERRORS))
    sink.snapshot()
    sink.close()
    found = list(letters(kafka_broker, dlq))
    assert [str(letter.source) for letter in found] == ["day.jsonl.gz[0]@12"]
    outcome = replay(kafka_broker, lambda letter: True, dlq=dlq)
    assert not outcome.done
    assert [str(letter.source) for letter, _ in outcome.left_out] == ["day.jsonl.gz[0]@12"]


def test_no_letter_has_anything_sent_to_a_topic_that_steers(kafka_broker, make_topic):
    """Whoever may write letters would be an operator: one replays everything, and a command goes out."""
    dlq = make_topic(1)
    create(kafka_broker, (TopicSpec("control-commands", 1, compacted=True),))
    row = dict.fromkeys(ERRORS.names, "") | WHOLE | {"timestamp_us": 0, "payload": b"a command", "partition": 0}
    forged = [("control-commands", 1 << 40), ("__consumer_offsets", 0), (dlq, 1 << 40)]
    rows = [row | {"topic": topic, "offset": offset} for topic, offset in forged]
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
    sink.open(None)
    sink.write(pa.RecordBatch.from_pylist(rows, ERRORS))
    sink.snapshot()
    sink.close()
    before = listing(kafka_broker, ["control-commands", dlq])
    outcome = replay(kafka_broker, lambda letter: True, dlq=dlq)
    assert not outcome.done
    assert {letter.source.topic for letter, _ in outcome.left_out} == {topic for topic, _ in forged}
    assert listing(kafka_broker, ["control-commands", dlq]) == before


def test_many_letters_are_found_in_one_reading(kafka_broker, dead, monkeypatch):
    topic, dlq = dead
    readings = []
    monkeypatch.setattr(reading, "_all", lambda *given, read=reading._all: readings.append(1) or read(*given))
    places = [Place(topic, 2, 1), Place(topic, 1, 0)]
    assert [letter.source for letter in find_all(kafka_broker, places * 50, dlq)] == places * 50
    assert len(readings) <= 4
    with pytest.raises(UsageError, match="came from"):
        find_all(kafka_broker, [*places, Place(topic, 0, 0)], dlq)


def test_coordinates():
    assert Place.parse("a.b-c[3]@17") == Place("a.b-c", 3, 17)
    assert Place.parse(str(Place("t[1]", 2, 3))) == Place("t[1]", 2, 3)
    for wrong in ("t", "t[1]", "t@3", "t[x]@1"):
        with pytest.raises(UsageError):
            Place.parse(wrong)


@pytest.fixture
def own_broker(tmp_path):
    """A broker that nobody else writes dead letters to."""
    with running_broker(tmp_path) as bootstrap:
        yield bootstrap


def test_the_commands(own_broker, monkeypatch):
    kafka_broker = own_broker
    from mevflow.kafka.topics import create

    create(kafka_broker)
    monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", kafka_broker)
    config.cache_clear()
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker), StageContext("t", "rejects"))

    row = dict.fromkeys(ERRORS.names, "x") | WHOLE
    row |= {"topic": "outcomes-proto", "partition": 1, "offset": 5, "timestamp_us": 9}
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
    assert sent == {"sent": ["outcomes-proto[1]@5"], "already_sent": [], "left_out": []}
    again = json.loads(run(command, ["replay", "--all", "--json"]).stdout)
    assert again == {"sent": [], "already_sent": ["outcomes-proto[1]@5"], "left_out": []}
    assert json.loads(run(command, ["list", "--json"]).stdout)["sent"] is True
    planned = json.loads(run(command, ["purge", "--sent", "--dry-run", "--json"]).stdout)
    assert planned == {"purged": ["outcomes-proto[1]@5"], "dry_run": True}
    assert run(command, ["list", "--json"]).stdout
    assert json.loads(run(command, ["purge", "--sent", "--json"]).stdout)["purged"] == ["outcomes-proto[1]@5"]
    assert run(command, ["list", "--json"]).stdout == ""
    assert isinstance(run(command, ["replay"]).exception, UsageError)
    config.cache_clear()


@pytest.fixture
def five(kafka_broker, make_topic, send):
    """One bad record that five topologies read, one of them at two stages; the topic and the dead letters' topic."""
    topic, dlq = make_topic(2), make_topic(4, max_message_bytes=20_000)
    bad = b"\xff" * 50_000
    send(topic, [(1, 5_000, b"good"), (1, 6_000, bad)])
    row = {
        "topic": topic,
        "partition": 1,
        "offset": 1,
        "timestamp_us": 6_000_000,
        "run_id": "",
        "reason": "undecodable",
    }
    for number in range(5):
        sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
        sink.open(None)
        one = row | WHOLE | {"topology": f"t{number}", "stage": "decoded", "detail": "bad", "payload": bad}
        sink.write(pa.RecordBatch.from_pylist([one] + [one | {"stage": "found"}] * (number == 3), ERRORS))
        sink.snapshot()
        sink.close()
    return topic, dlq, bad


def test_a_record_that_five_topologies_refused_is_one_letter_and_is_sent_once(kafka_broker, five):
    topic, dlq, bad = five
    found = {letter.stage: letter for letter in letters(kafka_broker, dlq)}
    assert {stage: letter.copies for stage, letter in found.items()} == {"decoded": 5, "found": 1}
    letter = found["decoded"]
    assert (letter.bytes, letter.size, len(letter.payload) < 20_000) == (50_000, 50_000, True)
    assert completed(kafka_broker, letter).payload == bad
    for _ in range(2):
        replay(kafka_broker, lambda _: True, dlq=dlq)
        assert values(kafka_broker, topic) == [b"good", bad, bad]
    assert all(letter.sent for letter in letters(kafka_broker, dlq))
    replay(kafka_broker, lambda _: True, dlq=dlq, again=True)
    assert values(kafka_broker, topic) == [b"good", bad, bad, bad]


def test_purged_letters_are_gone_and_what_was_sent_is_remembered(kafka_broker, five):
    topic, dlq, bad = five
    chosen = lambda letter: letter.stage == "decoded"  # noqa: E731
    planned = purge(kafka_broker, chosen, dlq=dlq, dry_run=True)
    assert [letter.stage for letter in planned.done] == ["decoded"]
    assert len(list(letters(kafka_broker, dlq))) == 2
    replay(kafka_broker, lambda _: True, dlq=dlq)
    purge(kafka_broker, chosen, dlq=dlq)
    assert [letter.stage for letter in letters(kafka_broker, dlq)] == ["found"]
    assert [len(replay(kafka_broker, lambda _: True, dlq=dlq).already), values(kafka_broker, topic)] == [
        1,
        [b"good", bad, bad],
    ]


def test_a_purge_of_all_that_was_never_sent_empties_the_topic(kafka_broker, five):
    _, dlq, _ = five
    purge(kafka_broker, lambda _: True, dlq=dlq)
    assert listing(kafka_broker, [dlq])[0].messages == 0
    assert list(letters(kafka_broker, dlq)) == []


def test_a_cut_off_letter_whose_record_is_gone_is_left_out(kafka_broker, five):
    from kafka import TopicPartition

    from mevflow.kafka.topics import admin_client

    topic, dlq, _ = five
    with admin_client(kafka_broker) as client:
        client.delete_records({TopicPartition(topic, 1): 2})
    found = replay(kafka_broker, lambda _: True, dlq=dlq)
    assert not found.done
    assert {why for _, why in found.left_out} == {"the letter is cut off, and the log no longer holds the record"}


def test_of_two_desks_at_once_the_first_is_fenced_off(kafka_broker, five):
    from mevflow.flows.dead_letters.desk import _desk
    from mevflow.operators.errors import MevflowError

    topic, dlq, bad = five

    def two_at_once():
        with _desk(kafka_broker) as first:
            first.send(topic, b"never", 0, 1_000)
            replay(kafka_broker, lambda _: True, dlq=dlq)

    with pytest.raises(MevflowError, match="Kafka did not take a message"):
        two_at_once()
    assert values(kafka_broker, topic) == [b"good", bad, bad]
