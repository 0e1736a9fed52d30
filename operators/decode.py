"""``decode``: serialized protobuf values -> typed columns; what cannot be decoded goes to ``errors``."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from operators.codec import ERRORS, RAW, codec
from operators.stage import Output, Settings, Stage, StageContext


class DecodeSettings(Settings):
    """``message`` is the full protobuf name, e.g. ``mevflow.v1.Swap``."""

    message: str


class Decode(Stage):
    """Decode whole batches at once; only a batch that holds a bad value is taken apart, by halves.

    A value is bad when it is not well-formed protobuf, or is empty (an empty message carries nothing).
    """

    use = "decode"
    summary = "Protobuf values to typed columns; undecodable values to dead letters"
    settings_type = DecodeSettings
    settings: DecodeSettings

    def __init__(self, settings: DecodeSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._codec = codec(settings.message)

    @classmethod
    def input_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema | None]:
        return {"in": RAW}

    @classmethod
    def output_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema]:
        assert isinstance(settings, DecodeSettings)
        return {"out": codec(settings.message).located, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        good, bad = self._split(batch, 0, batch.num_rows)
        for start, stop in good:
            if stop > start:
                yield "out", self._decode(batch.slice(start, stop - start))
        if bad:
            yield "errors", self._dead_letters(batch, bad)

    def _split(
        self, batch: pa.RecordBatch, start: int, stop: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
        """Ranges of good rows and the bad rows with their reasons, between ``start`` and ``stop``."""
        values = batch.column("value").slice(start, stop - start)
        try:
            if _has_empty(values):
                raise ValueError("empty value")
            self._codec.decode(values)
        except ValueError as error:
            if stop - start == 1:
                return [], [(start, str(error))]
            middle = (start + stop) // 2
            left, left_bad = self._split(batch, start, middle)
            right, right_bad = self._split(batch, middle, stop)
            return left + right, left_bad + right_bad
        return [(start, stop)], []

    def _decode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        message = self._codec.decode(batch.column("value"))
        coordinates = [batch.column(name) for name in RAW.names[2:]]
        return pa.RecordBatch.from_arrays([*message.columns, *coordinates], schema=self._codec.located)

    def _dead_letters(self, batch: pa.RecordBatch, bad: list[tuple[int, str]]) -> pa.RecordBatch:
        rows = batch.take(pa.array([row for row, _ in bad])).to_pylist()
        return pa.RecordBatch.from_pylist(
            [
                {
                    "topic": row["source_topic"],
                    "partition": row["source_partition"],
                    "offset": row["source_offset"],
                    "timestamp_us": row["timestamp_us"],
                    "topology": self.context.topology,
                    "run_id": self.context.run_id,
                    "stage": self.context.node,
                    "reason": "undecodable",
                    "detail": f"not a {self._codec.name}: {why}",
                    "payload": row["value"],
                }
                for row, (_, why) in zip(rows, bad, strict=True)
            ],
            schema=ERRORS,
        )


def _has_empty(values: pa.BinaryArray) -> bool:
    return bool(pc.min(pc.binary_length(values)).as_py() == 0)
