"""Rates are of the last seconds, by node and port; what has not grown for so long flows no more."""

import pyarrow as pa

from mevflow.flows.engine.meter import Meter
from mevflow.flows.engine.pace import Pace
from mevflow.processes.status_file import read_status
from mevflow.sources.source import Standing


def test_a_rate_is_over_the_last_seconds_and_falls_to_zero():
    pace = Pace(5.0)
    assert pace.rates() == {}
    for second in range(11):
        pace.sample(float(second), {"found": {"rows_in": 100.0 * min(second, 4)}})
        if second == 4:
            assert pace.rates() == {"found": {"rows_in": 100.0}}
    assert pace.rates() == {"found": {"rows_in": 0.0}}


def test_a_node_that_came_later_began_at_zero():
    pace = Pace(5.0)
    pace.sample(0.0, {})
    pace.sample(2.0, {"found": {"rows_in": 10.0}})
    assert pace.rates() == {"found": {"rows_in": 5.0}}


def test_rows_are_told_by_port_and_records_by_source(tmp_path):
    meter = Meter(tmp_path / "status.json", {})
    meter.tick("swaps", lambda: Standing(behind=7))
    meter.rows_out("swaps", 3)
    batch = pa.record_batch({"reason": ["torn", "torn"]})
    meter.emitted("decoded", "out", pa.record_batch({"slot": [1]}))
    meter.emitted("decoded", "errors", batch)
    meter.write()
    said = read_status(tmp_path / "status.json")
    assert said["ports"] == {"swaps": {"out": 3}, "decoded": {"out": 1, "errors": 2}}
    assert said["waiting"] == {"swaps": 7}
    assert {node: counts["rows_out"] for node, counts in said["nodes"].items()} == {"swaps": 3, "decoded": 3}
