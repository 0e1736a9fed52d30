"""Compile the kernels of detection and decisions ahead of the first run; numba keeps them on disk.

Which kernels there are and on which types is what the stages call: so they are run on an hour of a recorded day.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pyarrow as pa

import mevflow
from mevflow.operators.codec import codec
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.stage import CAUGHT_UP_US, Output, StageContext, Watermark
from mevflow.operators.wire_form import malformed
from mevflow.sources.recorded import open_recorded

_BATCHES = 20
_END = Watermark(CAUGHT_UP_US, final=True)


def compile_kernels() -> float:
    """Run both stages on recorded swaps. Give the seconds that it took: few when everything was compiled before."""
    examples = Path(mevflow.__file__).parent / "examples"
    begin = time.monotonic()
    malformed(pa.array([b""], pa.binary()))
    settings = DetectSettings(registry=str(examples / "pools.yaml"), min_profit_usd=0.0)
    found = ArbitrageDetect(settings, StageContext("compile", "found"))
    decided = BanditDecide(BanditSettings(), StageContext("compile", "decided"))
    for batch in islice(open_recorded(*sorted((examples / "data").glob("uniswap-v3-*.csv.gz"))), _BATCHES):
        port = "swaps" if batch.schema.metadata[b"message"].endswith(b"Swap") else "updates"
        _decide(decided, found.process(port, _located(batch)))
    for port in ("updates", "swaps"):
        _decide(decided, found.on_watermark(port, _END))
    list(decided.on_watermark("in", _END))
    return time.monotonic() - begin


def _decide(decided: BanditDecide, rows: Output) -> None:
    for port, batch in rows:
        if port in ("opportunities", "swaps"):
            list(decided.process("swaps" if port == "swaps" else "in", batch))


def _located(batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = batch.num_rows
    topic = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["dex-swaps-proto"]))
    columns = [*batch.columns, topic, pa.array([0] * rows, pa.int32()), pa.array(range(rows), pa.int64())]
    message = batch.schema.metadata[b"message"].decode()
    return pa.RecordBatch.from_arrays(columns, schema=codec(message).located)
