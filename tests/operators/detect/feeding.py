"""Feed ``arbitrage.detect`` in tests: located batches, runs to the end, what came out by port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = str(ROOT / "examples/pools.yaml")
DATA = ROOT / "examples/data"
UNISWAP_DAY = sorted(DATA.glob("uniswap-v3-*.csv.gz"))
WHIRLPOOL_DAY = [DATA / "whirlpool-transaction-20220406.jsonl.gz"]
END = Watermark(CAUGHT_UP_US, final=True)

#: What a stage is given, in order.
Item = tuple[str, pa.RecordBatch | Watermark]
Tables = dict[str, pa.Table]


def located(batch: pa.RecordBatch, first_offset: int = 0) -> pa.RecordBatch:
    """The batch with coordinates, as a source would give it."""
    rows = batch.num_rows
    topic = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["dex-swaps-proto"]))
    offsets = pa.array(range(first_offset, first_offset + rows), pa.int64())
    columns = [*batch.columns, topic, pa.array([0] * rows, pa.int32()), offsets]
    return pa.RecordBatch.from_arrays(columns, schema=codec(message_of(batch)).located)


def message_of(batch: pa.RecordBatch) -> str:
    """The full name of the message whose columns a batch has."""
    return batch.schema.metadata[b"message"].decode()


def port_of(batch: pa.RecordBatch) -> str:
    """The input that takes a batch."""
    return "swaps" if message_of(batch).endswith("Swap") else "updates"


def items(batches: Iterable[pa.RecordBatch]) -> list[Item]:
    """Batches of messages as a feed, without watermarks."""
    feed: list[Item] = []
    for batch in batches:
        feed.append((port_of(batch), located(batch)))
    return feed


def until(hold_us: int) -> list[Item]:
    """Both inputs are complete up to a time."""
    return [("updates", Watermark(hold_us)), ("swaps", Watermark(hold_us))]


def make(**changes: Any) -> ArbitrageDetect:
    """A stage that reports every gain, however small; settings and ``shard``/``shards`` as given."""
    place = {name: changes.pop(name) for name in ("shard", "shards", "run_id") if name in changes}
    settings = DetectSettings(**{"registry": REGISTRY, "min_profit_usd": 0.0, **changes})
    return ArbitrageDetect(settings, StageContext("test", "found", **place))


def run(stage: ArbitrageDetect, feed: list[Item], end: bool = True) -> Tables:
    """Everything that comes out, a table a port, ``end`` first said on both inputs."""
    out: dict[str, list[pa.RecordBatch]] = defaultdict(list)
    for port, item in [*feed, *([("updates", END), ("swaps", END)] if end else [])]:
        given = stage.on_watermark(port, item) if isinstance(item, Watermark) else stage.process(port, item)
        for to, batch in given:
            out[to].append(batch)
    return {port: plain(pa.Table.from_batches(batches)) for port, batches in out.items()}


def plain(table: pa.Table) -> pa.Table:
    """One chunk a column and no dictionaries, so that equality is of values."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table.combine_chunks()


def joined(*runs: Tables) -> Tables:
    """The rows of one run after another's."""
    ports = {port for each in runs for port in each}
    return {port: plain(pa.concat_tables([each[port] for each in runs if port in each])) for port in ports}


def unsigned(raw: bytes) -> int:
    """An amount as it is on the wire."""
    return int.from_bytes(raw, "little")


def place_of(row: dict[str, Any]) -> tuple[int, int, int, int]:
    """Chain order."""
    return row["chain"], row["slot"], row["tx_index"], row["ix_index"]
