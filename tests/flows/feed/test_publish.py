"""Feeding Kafka: every message once, whatever cuts the feed off; at a pace; bad lines to the dead letters."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from mevflow.bench.kafka import synthetic_swaps
from mevflow.flows.config import Config, KafkaConfig
from mevflow.flows.feed import publish as feeding
from mevflow.flows.feed.publish import LETTER, SWAP, UPDATE, feed, groups, publish
from mevflow.kafka.topics import TOPICS, create, listing
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.errors import UsageError

DATA = Path(__file__).resolve().parents[3] / "examples" / "data"
LOGS = sorted(DATA.glob("uniswap-v3-*.csv.gz"))
FEED = b"12345678"


class Synthetic:
    """A stream of synthetic swaps, cut into batches; fails after ``fail_after`` of them."""

    def __init__(self, batches=10, rows=500, fail_after=None):
        self._whole = synthetic_swaps(batches * rows)
        self._rows, self._fail_after = rows, fail_after
        self.bytes_read, self.bytes_total = 0, batches

    def __iter__(self):
        for number in range(self.bytes_total):
            if number == self._fail_after:
                raise KeyboardInterrupt
            self.bytes_read = number + 1
            yield self._whole.slice(number * self._rows, self._rows)


@pytest.fixture
def setup(kafka_broker, make_topic, tmp_path):
    """Configuration and topics of a test's own."""
    config = Config(var=tmp_path, kafka=KafkaConfig(bootstrap=kafka_broker))
    return config, {SWAP: make_topic(4), UPDATE: make_topic(2), LETTER: make_topic(2)}


def go(setup, stream, rate=None, speed=None):
    config, topics = setup
    return publish(stream, FEED, config, topics, feeding._Pace(rate, speed), lambda done: None)


def messages(setup):
    config, topics = setup
    return listing(config.kafka.bootstrap, [topics[SWAP]])[0].messages


def slots(setup):
    """(slot, tx_index) of every swap on the topic."""
    from confluent_kafka import Consumer, TopicPartition

    config, topics = setup
    ends = listing(config.kafka.bootstrap, [topics[SWAP]])[0].ends
    client = Consumer({"bootstrap.servers": config.kafka.bootstrap, "group.id": "t", "enable.auto.commit": False})
    client.assign([TopicPartition(topics[SWAP], p, 0) for p in ends])
    values = []
    while len(values) < sum(stop for _, stop in ends.values()):
        values += [message.value() for message in client.consume(1000, 0.1)]
    client.close()
    table = codec(SWAP).decode(pa.array(values, pa.binary()))
    return sorted(zip(table.column("slot").to_pylist(), table.column("tx_index").to_pylist(), strict=True))


def test_a_second_run_publishes_nothing(setup):
    assert go(setup, Synthetic()).published == 5000
    again = go(setup, Synthetic())
    assert (again.published, again.skipped) == (0, 5000)
    assert messages(setup) == 5000


@pytest.mark.parametrize("lost", [False, True], ids=["progress kept", "progress lost"])
def test_an_interrupted_feed_goes_on(setup, lost):
    config, _ = setup
    with pytest.raises(KeyboardInterrupt):
        go(setup, Synthetic(fail_after=4))
    assert messages(setup) == 2000
    if lost:
        shutil.rmtree(config.var / "feed")
    rest = go(setup, Synthetic())
    assert (rest.published, rest.skipped) == (3000, 2000)
    assert slots(setup) == sorted({(100_000_000 + n // 200, n % 200) for n in range(5000)})


def test_lost_progress_of_a_whole_feed_publishes_nothing(setup):
    config, _ = setup
    go(setup, Synthetic())
    shutil.rmtree(config.var / "feed")
    assert go(setup, Synthetic()).published == 0
    assert go(setup, Synthetic()).skipped == 5000  # and is remembered again
    assert messages(setup) == 5000


@pytest.mark.parametrize("lost", [False, True], ids=["progress kept", "progress lost"])
@pytest.mark.parametrize("cut", [None, 4], ids=["whole", "cut off"])
def test_nothing_is_published_again_after_partitions_were_added(setup, kafka_broker, lost, cut):
    from kafka import KafkaAdminClient

    config, topics = setup
    if cut is None:
        go(setup, Synthetic())
    else:
        with pytest.raises(KeyboardInterrupt):
            go(setup, Synthetic(fail_after=cut))
    before = messages(setup)
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    admin.create_partitions({topics[SWAP]: 7})
    admin.close()
    while len(listing(kafka_broker, [topics[SWAP]])[0].ends) < 7:
        time.sleep(0.05)
    if lost:
        shutil.rmtree(config.var / "feed")
    rest = go(setup, Synthetic())
    assert (rest.published, rest.skipped) == (5000 - before, before)
    assert messages(setup) == 5000
    assert len(set(slots(setup))) == 5000


@pytest.mark.parametrize("apart", [False, True], ids=["one folder", "two folders"])
def test_two_feeds_at_once_publish_every_message_once(setup, tmp_path, apart):
    config, topics = setup
    script = (
        "import sys; from pathlib import Path; from mevflow.flows.config import Config, KafkaConfig;"
        "from tests.flows.feed.test_publish import *;"
        "config = Config(var=Path(sys.argv[1]), kafka=KafkaConfig(bootstrap=sys.argv[2]));"
        "topics = dict(zip((SWAP, UPDATE, LETTER), sys.argv[3:]));"
        "done = go((config, topics), Synthetic(20), rate=8_000); print(done.published, done.skipped)"
    )
    command = [sys.executable, "-c", script]
    root = Path(__file__).resolve().parents[3]
    running = [
        subprocess.Popen(
            [*command, str(tmp_path / (f"var-{n}" if apart else "var")), config.kafka.bootstrap, *topics.values()],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    said = sorted(process.communicate()[0].strip() for process in running)
    assert said == ["0 10000", "10000 0"]
    assert messages(setup) == 10_000
    assert len(set(slots(setup))) == 10_000


def test_a_topic_made_anew_is_filled_again(setup, kafka_broker):
    from kafka import KafkaAdminClient

    _, topics = setup
    go(setup, Synthetic())
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    admin.delete_topics([topics[SWAP]])
    for _ in range(50):
        if topics[SWAP] not in admin.list_topics():
            break
        time.sleep(0.1)
    admin.close()
    from mevflow.kafka.topics import TopicSpec

    create(kafka_broker, (TopicSpec(topics[SWAP], 4),))
    assert go(setup, Synthetic()).published == 5000
    assert messages(setup) == 5000


def test_a_killed_feed_goes_on_where_the_topic_ends(setup, tmp_path):
    """kill -9 in the middle of the whole command; the next run publishes exactly the rest."""
    config, topics = setup
    script = (
        "import sys; from pathlib import Path; from mevflow.flows.config import Config, KafkaConfig;"
        "from tests.flows.feed.test_publish import *;"
        "config = Config(var=Path(sys.argv[1]), kafka=KafkaConfig(bootstrap=sys.argv[2]));"
        "topics = dict(zip((SWAP, UPDATE, LETTER), sys.argv[3:]));"
        "go((config, topics), Synthetic(40), rate=3_000)"
    )
    command = [sys.executable, "-c", script, str(tmp_path), config.kafka.bootstrap, *topics.values()]
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    deadline = time.monotonic() + 20
    while messages(setup) < 3000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = messages(setup)
    assert 3000 <= there < 20_000
    rest = go(setup, Synthetic(40))
    assert rest.skipped + rest.published == 20_000
    assert messages(setup) == 20_000
    assert len(set(slots(setup))) == 20_000


def test_a_rate_is_kept(setup):
    began = time.monotonic()
    go(setup, Synthetic(batches=2), rate=1000)
    assert time.monotonic() - began > 0.8  # no sooner; how much later is the machine's affair


def test_a_multiple_of_chain_time_is_kept(setup):
    began = time.monotonic()
    go(setup, Synthetic(batches=2), speed=2)  # 1,000 swaps, 200 in a slot of 0.4 s: 1.6 s of chain time
    assert time.monotonic() - began > 0.7


def test_dead_letters_go_to_their_topic(setup):
    config, topics = setup
    row = dict.fromkeys(ERRORS.names, "x") | {"partition": 0, "offset": 3, "timestamp_us": 0, "payload": b"bad"}
    row |= {"size": 0, "sha256": b""}

    class Bad(Synthetic):
        def __iter__(self):
            yield from super().__iter__()
            yield pa.RecordBatch.from_pylist([row], ERRORS)

    outcome = go(setup, Bad(batches=1))
    assert (outcome.published, outcome.rejected) == (501, 1)
    assert listing(config.kafka.bootstrap, [topics[LETTER]])[0].messages == 1
    assert go(setup, Bad(batches=1)).skipped == 501


def test_recorded_logs_and_damaged_lines(kafka_broker, make_topic, tmp_path):
    """The Uniswap day, both pools in one stream; then with a line that cannot be read, which goes to dlq."""
    import gzip

    create(kafka_broker, TOPICS)
    config = Config(var=tmp_path, kafka=KafkaConfig(bootstrap=kafka_broker))
    topic, updates = make_topic(8), make_topic(8)
    assert groups(LOGS) == [LOGS]
    done = []
    outcome = feed(LOGS, config=config, topic=topic, updates_topic=updates, progress=done.append)
    assert listing(kafka_broker, [topic])[0].messages == 6046 + 267
    assert outcome.rejected == 0
    assert done == sorted(done)
    assert done[-1] == sum(path.stat().st_size for path in LOGS)
    assert feed(LOGS, config=config, topic=topic, updates_topic=updates).published == 0

    lines = gzip.decompress(LOGS[1].read_bytes()).decode().splitlines()
    lines[5] = "1,2,rubbish"
    damaged = tmp_path / LOGS[1].name
    damaged.write_bytes(gzip.compress("\n".join(lines).encode()))
    before = listing(kafka_broker, ["dlq"])[0].messages
    assert feed([damaged], config=config, topic=make_topic(8), updates_topic=make_topic(8)).rejected == 1
    assert listing(kafka_broker, ["dlq"])[0].messages == before + 1


def test_solana_transactions_are_fed_once(kafka_broker, make_topic, tmp_path):
    from tests.sources.solana.test_files import answer, write

    create(kafka_broker, TOPICS)
    config = Config(var=tmp_path, kafka=KafkaConfig(bootstrap=kafka_broker))
    topic, updates = make_topic(4), make_topic(4)
    path = write(tmp_path / "transactions.jsonl", *(answer(slot, slot % 200 + 1) for slot in range(50)))
    outcome = feed([path], config=config, topic=topic, updates_topic=updates)
    assert (outcome.published, outcome.rejected) == (50, 0)
    assert listing(kafka_broker, [topic])[0].messages == 50
    assert feed([path], config=config, topic=topic, updates_topic=updates).published == 0


def test_a_missing_file_is_named(kafka_broker, tmp_path):
    config = Config(var=tmp_path, kafka=KafkaConfig(bootstrap=kafka_broker))
    with pytest.raises(UsageError, match=r"no\.csv"):
        feed([tmp_path / "no.csv"], config=config)
