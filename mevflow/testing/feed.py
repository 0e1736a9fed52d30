"""What a stage is fed, the same rows in other batches or at a later time, and what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.stage import CAUGHT_UP_US, Stage, Watermark
from mevflow.testing.errors import demand

#: What a stage is given, in order: batches and watermarks by input port.
Item = tuple[str, pa.RecordBatch | Watermark]

#: The stream is over.
END = Watermark(CAUGHT_UP_US, final=True)


class Outputs:
    """What a stage gave, port by port, in order."""

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.RecordBatch]] = defaultdict(list)

    def give(self, stage: Stage, items: Sequence[Item]) -> Outputs:
        """Feed the stage and keep what comes."""
        for port, item in items:
            given = stage.on_watermark(port, item) if isinstance(item, Watermark) else stage.process(port, item)
            for out, batch in given:
                self._batches[out].append(batch)
        return self

    @property
    def batches(self) -> list[tuple[str, pa.RecordBatch]]:
        """Every batch with its port."""
        return [(port, batch) for port, batches in self._batches.items() for batch in batches]

    def tables(self) -> dict[str, pa.Table]:
        """One table a port, dictionaries decoded and chunks joined, so that equality is of values."""
        return {port: plain(pa.Table.from_batches(batches)) for port, batches in self._batches.items() if batches}


def demand_schema(batch: pa.RecordBatch, declared: pa.Schema, port: str) -> None:
    """The batch is valid and as declared: columns, metadata, and no null where none may be."""
    batch.validate(full=True)
    demand(
        batch.schema.equals(declared, check_metadata=True),
        f"a batch on {port!r} has another schema than declared:\n{batch.schema}\nnot\n{declared}",
    )
    nulls = [name for name, column in zip(declared.names, batch.columns, strict=True) if column.null_count]
    wrong = [name for name in nulls if not declared.field(name).nullable]
    demand(not wrong, f"a batch on {port!r} has nulls in {', '.join(wrong)}")


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionary columns decoded and chunks joined."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table.combine_chunks()


def assert_same(found: dict[str, pa.Table], expected: dict[str, pa.Table]) -> None:
    """Equal ports, rows, order and values to the last bit. Raises ContractBroken with the first difference."""
    ports = {port for port, table in expected.items() if table.num_rows}
    have = {port for port, table in found.items() if table.num_rows}
    demand(have == ports, f"rows on {sorted(have)}, not on {sorted(ports)}")
    for port in sorted(ports):
        left, right = found[port], expected[port]
        if not left.equals(right):
            demand(left.num_rows == right.num_rows, f"{left.num_rows} rows on {port!r}, not {right.num_rows}")
            rows = enumerate(zip(left.to_pylist(), right.to_pylist(), strict=True))
            # NaN is not itself: rows are compared as text.
            different = next(((row, *pair) for row, pair in rows if repr(pair[0]) != repr(pair[1])), None)
            demand(different is None, f"{port!r}: (row, found, expected) {different}")


def cut(items: Sequence[Item], at: Sequence[int]) -> list[Item]:
    """The same rows in other batches: every batch cut at ``at`` modulo its length."""
    pieces: list[Item] = []
    for port, item in items:
        if isinstance(item, Watermark):
            pieces.append((port, item))
            continue
        cuts = sorted({0, item.num_rows, *(position % (item.num_rows + 1) for position in at)})
        pieces += [(port, item.slice(a, b - a)) for a, b in pairwise(cuts)]
    return pieces


def random_cut(items: Sequence[Item], random: Random) -> list[Item]:
    """:func:`cut` at up to 12 random places."""
    return cut(items, [random.randrange(1 << 16) for _ in range(random.randrange(13))])


def later(items: Sequence[Item], times: int) -> list[Item]:
    """The feed as it would come ``times`` of its own lengths later, so that many make an endless stream.

    Columns of time (``…_us``), of slots (``slot``, ``…_slot``) and ``source_offset`` move on by what the whole feed
    spans; so do watermarks. A final watermark becomes "caught up".
    """
    spans = {kind: _span(items, kind) for kind in ("_us", "slot", "source_offset")}
    moved: list[Item] = []
    for port, item in items:
        if isinstance(item, Watermark):
            moved.append((port, Watermark(min(item.hold_us + times * spans["_us"], CAUGHT_UP_US))))
            continue
        columns = [
            pc.add(column, pa.scalar(times * spans[kind], column.type)) if (kind := _kind(field)) else column
            for field, column in zip(item.schema, item.columns, strict=True)
        ]
        moved.append((port, pa.RecordBatch.from_arrays(columns, schema=item.schema)))
    return moved


def _kind(field: pa.Field) -> str:
    kinds = ("_us", "slot", "source_offset") if pa.types.is_integer(field.type) else ()
    return next((kind for kind in kinds if field.name.endswith(kind)), "")


def _span(items: Sequence[Item], kind: str) -> int:
    """Past the highest value less the lowest, over the columns of a kind that are not zero."""
    values = [
        value
        for _, item in items
        if isinstance(item, pa.RecordBatch)
        for field, column in zip(item.schema, item.columns, strict=True)
        if _kind(field) == kind and item.num_rows
        for value in pc.min_max(column).as_py().values()
        if value
    ]
    return max(values) - min(values) + 1 if values else 1
