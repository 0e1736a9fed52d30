"""What a run is fed: two chains round a month's end, with records that nobody can use mixed in. Same seed, same bytes.

Chain 1 is synthetic (``mevflow.bench.market``), chain 2 a slice of a recorded Uniswap day; both are moved in time so
that the month ends in the middle. A *hunt* is detection, whose answer depends on order: all pool updates and the bulk
of the swaps are there before it starts, and the tail comes in chain order through one partition, so whatever a fault
holds up, no other order can be read. A *keep* stores rows, whose order does not matter: its tail uses every partition,
and one that is added on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.bench.market import FIRST_US, SyntheticMarket
from mevflow.operators.codec import codec
from mevflow.sources.recorded import open_recorded
from mevflow.v1.market_pb2 import Swap

_DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
_DAYS = ("uniswap-v3-usdc_weth_0.05pct_0x88e6a0c2_2024-01-05.csv.gz",)
#: 2022-04-01T00:00:00Z.
MONTH_END_US = 1_648_771_200_000_000
SWAPS = 2_500
TAIL_CHUNKS = 24
#: One record in so many is odd.
_ODD_EVERY = 90
_BULK = {"hunt": 0.6, "keep": 0.4}


@dataclass(frozen=True)
class Record:
    """One Kafka record; ``partition`` 2 is the one that is added on the way."""

    topic: str
    partition: int
    time_ms: int
    value: bytes


@dataclass
class Stream:
    """``bulk`` is sent before the topology starts; ``tail`` chunk by chunk while faults strike."""

    bulk: list[Record] = field(default_factory=list)
    tail: list[list[Record]] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many there are."""
        return len(self.bulk) + sum(map(len, self.tail))


@cache
def stream(kind: str, seed: int) -> Stream:
    """The stream of a run of ``kind`` (``hunt`` or ``keep``)."""
    rng = np.random.default_rng(seed)
    market = SyntheticMarket(pools=60, seed=seed + 1, shock_rate=0.03)
    swaps = pa.Table.from_batches(list(market.swaps(SWAPS)))
    updates = [market.updates()]
    recorded_swaps, recorded_updates = _recorded(int(rng.integers(0, 4)))
    updates += recorded_updates
    rows = _rows("mevflow.v1.Swap", swaps, _centre(swaps)) + _rows(
        "mevflow.v1.Swap", recorded_swaps, _centre(recorded_swaps)
    )
    rows.sort(key=lambda row: row[0])
    found = Stream()
    for batch in updates:
        table = pa.Table.from_batches([batch])
        before = MONTH_END_US - 86_400_000_000 - int(pc.max(table["timestamp_us"]).as_py())
        for number, (time_us, _, value) in enumerate(_rows("mevflow.v1.PoolUpdate", table, before)):
            found.bulk.append(Record("updates", number % 2, time_us // 1000, value))
    bulk = int(len(rows) * _BULK[kind])
    odd = _odd(rng)
    chunks = np.array_split(np.arange(bulk, len(rows)), TAIL_CHUNKS)
    places = {int(index): number for number, chunk in enumerate(chunks) for index in chunk}
    found.tail = [[] for _ in chunks]
    for index, (time_us, pool, value) in enumerate(rows):
        chunk = places.get(index)
        target = found.bulk if chunk is None else found.tail[chunk]
        partition = pool[-1] % 2
        if chunk is not None:
            partition = 0 if kind == "hunt" else index % (3 if chunk > TAIL_CHUNKS // 2 else 2)
        target.append(Record("swaps", partition, time_us // 1000, value))
        if index % _ODD_EVERY == _ODD_EVERY - 1:
            target.append(Record("swaps", partition, time_us // 1000, odd[index // _ODD_EVERY % len(odd)]))
    return found


def _recorded(skip: int) -> tuple[pa.Table, list[pa.RecordBatch]]:
    """A slice of the recorded day: its swaps, and the updates that stand before them."""
    reader = open_recorded(*[_DATA / day for day in _DAYS], on_error=lambda error: None)
    swaps: list[pa.RecordBatch] = []
    updates: list[pa.RecordBatch] = []
    for batch in reader:
        message = (batch.schema.metadata or {}).get(b"message", b"")
        if message == b"mevflow.v1.Swap":
            swaps.append(batch)
        elif not swaps:
            updates.append(batch)
        if sum(batch.num_rows for batch in swaps) >= (skip + 1) * SWAPS // 4:
            break
    reader.close()
    return pa.Table.from_batches(swaps).slice(skip * SWAPS // 4, SWAPS // 4), updates


def _centre(table: pa.Table) -> int:
    """What to add to the rows' times so that the month ends in their middle."""
    times = table["timestamp_us"]
    return MONTH_END_US - (int(pc.min(times).as_py()) + int(pc.max(times).as_py())) // 2


def _rows(message: str, table: pa.Table, shift_us: int) -> list[tuple[int, bytes, bytes]]:
    """(time, pool, value) of every row, moved by ``shift_us``."""
    at = table.schema.get_field_index("timestamp_us")
    moved = pc.add(table["timestamp_us"], pa.scalar(shift_us, pa.int64()))
    table = table.set_column(at, table.schema.field(at), moved).combine_chunks()
    found: list[tuple[int, bytes, bytes]] = []
    for batch in table.to_batches():
        values = codec(message).encode(batch).to_pylist()
        found += zip(batch["timestamp_us"].to_pylist(), batch["pool"].to_pylist(), values, strict=True)
    return found


def _odd(rng: np.random.Generator) -> list[bytes]:
    """Records that are not what they should be, each in a way of its own."""

    def swap(**odd: object) -> bytes:
        whole = {
            "chain": 1, "slot": 5, "timestamp_us": MONTH_END_US, "venue": 1, "pool": b"p" * 32,
            "mint_in": b"a" * 32, "mint_out": b"b" * 32, "amount_in": bytes(16), "amount_out": bytes(16),
        }  # fmt: skip
        return Swap(**whole | odd).SerializeToString()

    return [
        rng.bytes(40),
        b"",
        b"\xff" * 5_000,
        swap(venue=99),
        swap(chain=-3),
        swap(amount_in=b"\1" * 17),
        swap(pool=b""),
        swap(slot=1 << 63),
        swap(timestamp_us=(1 << 63) - 1),
        swap(signature=b"s" * 200_000),
    ]


assert FIRST_US > MONTH_END_US  # the market is moved back, never before the epoch
