"""``decode``: serialized protobuf values -> typed columns; what cannot be decoded goes to ``errors``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.codec import ERRORS, RAW, codec
from mevflow.operators.stage import Output, Settings, Stage, StageContext


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
        bad: list[tuple[int, str]] = []
        for out in self._decode(batch, 0, bad):
            yield "out", out
        if bad:
            yield "errors", self._dead_letters(batch, bad)

    def _decode(self, batch: pa.RecordBatch, start: int, bad: list[tuple[int, str]]) -> Iterator[pa.RecordBatch]:
        """The good rows of ``batch`` in order; bad ones are added to ``bad``, numbered from ``start``, with why."""
        if not batch.num_rows:
            return
        values = batch.column("value")
        try:
            if pc.min(pc.binary_length(values)).as_py() == 0:
                raise ValueError("empty value")
            message = self._codec.decode(values)
        except ValueError as error:
            if batch.num_rows == 1:
                bad.append((start, str(error)))
                return
            middle = batch.num_rows // 2
            yield from self._decode(batch.slice(0, middle), start, bad)
            yield from self._decode(batch.slice(middle), start + middle, bad)
            return
        coordinates = [batch.column(name) for name in RAW.names[2:]]
        yield pa.RecordBatch.from_arrays([*message.columns, *coordinates], schema=self._codec.located)

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
