"""Recorded commands cut the stream at a row, wherever the batches are cut."""

import itertools

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.flows.steering.progress import COORDINATES, ORDER, SteeringProgress
from mevflow.flows.steering.recorded import LoggedRow, RecordedCommand, RecordedCommands
from mevflow.operators.codec import COORDINATES as COORDINATE_FIELDS
from mevflow.operators.merge import ChainMerge
from mevflow.operators.stage import CAUGHT_UP_US, Ack, Settings, Stage, StageContext, Watermark

SCHEMA = pa.schema(
    [
        ("chain", pa.int32()),
        ("slot", pa.uint64()),
        ("tx_index", pa.uint32()),
        ("ix_index", pa.uint32()),
        ("timestamp_us", pa.int64()),
        *COORDINATE_FIELDS,
    ]
)


class Merging(Stage):
    """Writes down (slot, tx, version in force) in chain order, as a stage that merges does."""

    use = "test.merging"

    def __init__(self):
        super().__init__(Settings(), StageContext("t", "n"))
        self._merge = ChainMerge({"in": SCHEMA})
        self._version = 0
        self.seen = []

    def process(self, port, batch):
        self._merge.add(port, batch)
        return ()

    def on_watermark(self, port, watermark):
        stretch = self._merge.advance(port, watermark, frozenset(["in"]))
        if stretch is not None:
            slots, txs = (stretch.batches[0].column(name).to_pylist() for name in ("slot", "tx_index"))
            self.seen += [(slots[row], txs[row], self._version) for row in stretch.row.tolist()]
        return ()

    def on_control(self, command):
        self._version = command.version
        return Ack("APPLIED")


def rows(numbers):
    """Row n is transaction n % 4 of slot n // 4; a slot is one moment."""
    count = len(numbers)
    columns = {
        "chain": [1] * count,
        "slot": [n // 4 for n in numbers],
        "tx_index": [n % 4 for n in numbers],
        "ix_index": [0] * count,
        "timestamp_us": [1000 * (n // 4) for n in numbers],
        "source_topic": pa.array(["t"] * count).dictionary_encode().cast(SCHEMA.field("source_topic").type),
        "source_partition": [n % 2 for n in numbers],
        "source_offset": numbers,
    }
    arrays = [v if isinstance(v, pa.Array) else pa.array(v, SCHEMA.field(k).type) for k, v in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def command(version, n):
    return RecordedCommand(
        "n", f"c{version}", "policy", "n", version, b"", LoggedRow(1, n // 4, n % 4, 0, 1000 * (n // 4))
    )


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.sets(st.integers(1, 39), max_size=8),
    at=st.lists(st.integers(0, 39), min_size=1, max_size=4).map(sorted),
)
def test_each_row_is_seen_under_the_command_before_it(cuts, at):
    stage = Merging()
    recorded = RecordedCommands(stage, [command(version, n) for version, n in enumerate(at, 1)])
    edges = [0, *sorted(cuts), 40]
    for begin, end in itertools.pairwise(edges):
        list(recorded.process("in", rows(list(range(begin, end)))))
        list(recorded.progress("in", {"in": Watermark(1000 * ((end - 1) // 4))}))
    list(recorded.progress("in", {"in": Watermark(CAUGHT_UP_US, final=True)}))
    expected = [(n // 4, n % 4, sum(1 for row in at if row < n)) for n in range(40)]
    assert stage.seen == expected


def test_a_command_from_before_the_first_row_is_given_at_once():
    stage = Merging()
    RecordedCommands(stage, [RecordedCommand("n", "c", "policy", "n", 7, b"", None)])
    assert stage._version == 7


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(list(range(12))), cuts=st.sets(st.integers(1, 11), max_size=4), hold=st.integers(0, 3))
def test_the_furthest_row_is_the_last_in_chain_order_behind_the_watermark(order, cuts, hold):
    progress = SteeringProgress()
    edges = [0, *sorted(cuts), 12]
    for begin, end in itertools.pairwise(edges):
        progress.add("in", rows(order[begin:end]))
    assert progress.position() == ("", -1, -1)
    progress.pass_to(1000 * hold)
    progress.pass_to(0)  # a watermark that falls back takes nothing back
    expected = ("t", (4 * hold - 1) % 2, 4 * hold - 1) if hold else ("", -1, -1)
    assert progress.position() == expected
    progress.pass_to(CAUGHT_UP_US)
    assert progress.position() == ("t", 1, 11)
    assert set(ORDER) | set(COORDINATES) <= set(SCHEMA.names)
