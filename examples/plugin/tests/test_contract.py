"""The parts keep the contracts of mevflow: every rule is tried by the kit."""

from pathlib import Path

import pyarrow as pa
from mevflow_prices.rows import PRICES
from mevflow_prices.sink import Lines, LinesSettings
from mevflow_prices.source import CsvPrices, CsvSettings
from mevflow_prices.stage import Changes, ChangesSettings

from mevflow.operators.stage import StageContext
from mevflow.testing import END, SinkCase, SourceCase, StageCase, check_sink, check_source, check_stage

SAMPLE = Path(__file__).parents[1] / "prices.csv"
CONTEXT = StageContext("test", "tried")


def prices(rows: list[tuple[str, float]]) -> pa.RecordBatch:
    """Prices a second apart."""
    return pa.RecordBatch.from_pylist(
        [
            {"timestamp_us": n, "token": token, "usd": usd, "source_topic": "p.csv", "source_offset": n}
            for n, (token, usd) in enumerate(rows)
        ],
        schema=PRICES,
    )


def test_source() -> None:
    settings = CsvSettings(path=SAMPLE, max_rows=3)
    check_source(SourceCase("prices.csv", lambda: CsvPrices(settings, CONTEXT), rows=10))


def test_stage() -> None:
    good = [("A", 1.0), ("B", 5.0), ("A", 1.005), ("A", 1.02), ("B", 4.0), ("A", 1.0)]
    bad = [("A", 1.0), ("A", -1.0), ("B", float("nan")), ("A", 2.0)]
    check_stage(
        StageCase(
            "prices.changes",
            make=lambda: Changes(ChangesSettings(max_tokens=50), CONTEXT),
            feed=lambda: [("in", prices(good)), ("in", END)],
            bad_feed=lambda: [("in", prices(bad)), ("in", END)],
            bad_rows=2,
            # Ever new tokens: no more than max_tokens of them may be remembered.
            endless=lambda n: [("in", prices([(f"T{n}-{i}", 1.0) for i in range(100)]))],
        )
    )


def test_sink(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    check_sink(
        SinkCase(
            "prices.lines",
            make=lambda: Lines(LinesSettings(path=path), CONTEXT),
            batches=lambda: [prices([(token, 1.0), (token, 2.0)]) for token in "ABCDE"],
            read=lambda: path.read_bytes().splitlines() if path.exists() else [],
            clear=lambda: path.unlink(missing_ok=True),
        )
    )
