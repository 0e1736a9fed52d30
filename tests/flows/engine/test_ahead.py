"""Polls that are decoded before they are given: the same rows in the same order, and positions of what was given."""

import msgspec
import pyarrow as pa
import pytest

from mevflow.flows.engine.ahead import AheadStage, ReadAhead
from mevflow.operators.codec import RAW
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings
from mevflow.sources.source import Poll, Source
from mevflow.v1.market_pb2 import Swap

_CONTEXT = StageContext("test", "decoded")


def _raw(first, count):
    values = [Swap(chain=1, slot=number + 1).SerializeToString() for number in range(first, first + count)]
    topic = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), ["t"])
    offsets = pa.array(range(first, first + count), pa.int64())
    zeros = pa.array([0] * count, pa.int64())
    columns = [pa.array(values, pa.binary()), zeros, topic, zeros.cast(pa.int32()), offsets]
    return pa.RecordBatch.from_arrays(columns, schema=RAW)


class Steps(Source[Settings]):
    """Gives the polls of a list: a number of rows, "nothing", "fault", or "end"."""

    def __init__(self, steps):
        super().__init__(Settings(), StageContext("test", "swaps"))
        self._steps, self._next = list(steps), 0

    def poll(self):
        step = self._steps.pop(0) if self._steps else "nothing"
        if step == "nothing":
            return Poll()
        if step == "fault":
            raise OSError("the log is gone")
        if step == "end":
            return Poll(watermark=Watermark(self._next, final=True), ended=True)
        batch = _raw(self._next, step)
        self._next += step
        return Poll([("out", batch)], Watermark(self._next))

    def snapshot(self):
        return msgspec.json.encode(self._next)


@pytest.fixture
def stage():
    made = AheadStage(lambda: Decode(DecodeSettings(message="mevflow.v1.Swap"), _CONTEXT), "decoded", "in")
    yield made
    made.close()


def _offsets(taken):
    """The offsets of a poll's rows, which its decoded rows must have too where they were begun on."""
    found = []
    for (_, batch), begun in zip(taken.poll.batches, taken.begun, strict=True):
        own = batch.column("source_offset").to_pylist()
        if begun is not None:
            ((port, rows),) = begun.result().outputs
            assert port == "out"
            assert rows.column("source_offset").to_pylist() == own
            assert rows.column("slot").to_pylist() == [offset + 1 for offset in own]
        found += own
    return found


def test_a_position_is_of_what_was_given(stage):
    read = ReadAhead(Steps([3_000, 3_000, 10, 3_000, "nothing", 3_000, "end"]), stage)
    given, held, begun = [], 0, 0
    assert read.snapshot() == b"0"
    while True:
        taken = read.take()
        if taken is None:
            continue
        given += _offsets(taken)
        begun += sum(each is not None for each in taken.begun)
        held = max(held, read.rows)
        assert read.snapshot() == msgspec.json.encode(len(given))
        if taken.poll.ended:
            break
    assert given == list(range(12_010))
    assert (held, begun) == (3_000, 4)
    assert read.rows == 0


def test_little_is_given_at_once_and_begun_on_by_nobody(stage):
    read = ReadAhead(Steps([10, 10, "nothing"]), stage)
    for expected in (b"10", b"20"):
        taken = read.take()
        assert taken.begun == [None]
        assert (read.snapshot(), read.rows) == (expected, 0)
    assert read.take() is None


def test_a_fault_comes_after_all_that_was_read_before_it(stage):
    read = ReadAhead(Steps([3_000, "fault"]), stage)
    assert _offsets(read.take()) == list(range(3_000))
    assert read.snapshot() == b"3000"
    for _ in range(2):
        with pytest.raises(OSError, match="the log is gone"):
            read.take()


def test_without_a_stage_every_poll_is_given_as_it_comes():
    read = ReadAhead(Steps([3_000, 3_000, "end"]), None)
    assert [len(_offsets(read.take())) for _ in range(3)] == [3_000, 3_000, 0]


def test_whatever_moment_it_dies_the_rest_follows(kafka_broker, make_topic, send, stage):
    """Each source goes on from a snapshot of the one before it, which had read further than it had given."""
    topic = make_topic(partitions=2)
    count = 40_000
    value = Swap(chain=1, slot=1).SerializeToString()
    send(topic, [(number % 2, 1_000 + number, value) for number in range(count)])
    bounds = dict.fromkeys(range(2), count // 2)
    settings = KafkaSourceSettings(
        bootstrap=kafka_broker, topic=topic, start="earliest", stop_offsets=bounds, max_rows=2_500
    )
    rows, state, ended, held = [], None, False, 0
    while not ended:
        source = KafkaSource(settings, StageContext("test", "swaps"))
        source.open(state)
        read = ReadAhead(source, stage)
        given = 0
        while not ended and given < 7_000:
            taken = read.take()
            if taken is None:
                continue
            for _, batch in taken.poll.batches:
                rows += zip(*(batch.column(name).to_pylist() for name in RAW.names[3:]), strict=True)
                given += batch.num_rows
            ended, held = taken.poll.ended, max(held, read.rows)
        state = read.snapshot()
        source.close()
    assert sorted(rows) == [(partition, offset) for partition in range(2) for offset in range(count // 2)]
    assert held
