"""``decode``: serialized protobuf values -> typed columns; what cannot be decoded goes to ``errors``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.bounds import bounds_of
from mevflow.operators.codec import ERRORS, RAW, codec, unreadable
from mevflow.operators.dead_letters import UNREADABLE, dead_letters, refuse
from mevflow.operators.stage import Output, Settings, Stage, StageContext
from mevflow.operators.wire_form import malformed

#: Parts that a batch with a bad value is cut into: a batch of nothing but bad ones is decoded little more than once.
_WAYS = 16


class DecodeSettings(Settings):
    """``message`` is the full protobuf name, e.g. ``mevflow.v1.Swap``."""

    message: str


class Decode(Stage[DecodeSettings]):
    """Decode whole batches at once. From one that holds a bad value, what is no protobuf at all is sorted out in one
    pass (:mod:`mevflow.operators.wire_form`); only when there are other bad values is the rest taken apart.

    A value is bad when it is not well-formed protobuf, is empty (an empty message carries nothing), or has a field
    outside its bounds (:mod:`mevflow.operators.bounds`). A batch that stands for records which the source could not
    read becomes a letter without a payload.
    """

    use = "decode"
    stateless = True
    summary = "Protobuf values to typed columns; undecodable values to dead letters"
    settings_type = DecodeSettings

    def __init__(self, settings: DecodeSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._codec = codec(settings.message)
        self._codec.prepare()
        self._bounds = bounds_of(self._codec.schema)

    @classmethod
    def input_schemas(cls, settings: DecodeSettings) -> Mapping[str, pa.Schema | None]:
        return {"in": RAW}

    @classmethod
    def output_schemas(cls, settings: DecodeSettings) -> Mapping[str, pa.Schema]:
        return {"out": codec(settings.message).located, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        why = unreadable(batch)
        if why is not None:
            yield "errors", dead_letters(self.context, batch, UNREADABLE, why, batch.column("value"))
            return
        whole = self._whole(batch)
        if isinstance(whole, pa.RecordBatch):
            yield from self._told(whole, batch)
            return
        no_protobuf = malformed(batch.column("value"))
        if no_protobuf.any():
            rows = batch.filter(pa.array(no_protobuf))
            yield "errors", self._undecodable(rows, ["it is empty, cut off or no protobuf"] * rows.num_rows)
            batch = batch.filter(pa.array(~no_protobuf))
        bad: list[tuple[int, str]] = []
        for start, found in self._decode(batch, 0, bad):
            yield from self._told(found, batch.slice(start, found.num_rows))
        if bad:
            yield "errors", self._undecodable(batch.take(pa.array([row for row, _ in bad])), [why for _, why in bad])

    def _told(self, found: pa.RecordBatch, raw: pa.RecordBatch) -> Output:
        """Decoded rows, and letters of those that have a field outside its bounds."""
        out, letters = self._bounded(found, raw)
        if out.num_rows:
            yield "out", out
        if letters is not None:
            yield "errors", letters

    def _undecodable(self, rows: pa.RecordBatch, whys: list[str]) -> pa.RecordBatch:
        details = [f"not a {self._codec.name}: {why}" for why in whys]
        return dead_letters(self.context, rows, "undecodable", details, rows.column("value"))

    def _whole(self, batch: pa.RecordBatch) -> pa.RecordBatch | ValueError:
        """Every row of a batch decoded, or why that cannot be."""
        values = batch.column("value")
        if batch.num_rows and pc.min(pc.binary_length(values)).as_py() == 0:
            return ValueError("empty value")
        try:
            message = self._codec.decode(values)
        except ValueError as error:
            return error
        coordinates = [batch.column(name) for name in RAW.names[2:]]
        return pa.RecordBatch.from_arrays([*message.columns, *coordinates], schema=self._codec.located)

    def _decode(
        self, batch: pa.RecordBatch, start: int, bad: list[tuple[int, str]]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The good rows in order, as (number of the first, rows); bad ones are added to ``bad`` with why.

        Rows are numbered from ``start``.
        """
        if not batch.num_rows:
            return
        found = self._whole(batch)
        if isinstance(found, pa.RecordBatch):
            yield start, found
        elif batch.num_rows == 1:
            bad.append((start, str(found)))
        else:
            part = -(-batch.num_rows // _WAYS)
            for begin in range(0, batch.num_rows, part):
                yield from self._decode(batch.slice(begin, part), start + begin, bad)

    def _bounded(self, found: pa.RecordBatch, raw: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
        """Without the rows that have a field outside its bounds, and their dead letters."""
        faults = [fault for bound in self._bounds if (fault := bound.fault(found)) is not None]
        return refuse(self.context, found, faults, raw) if faults else (found, None)
