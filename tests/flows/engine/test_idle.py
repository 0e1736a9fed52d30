"""A source that gives nothing is asked less often, but only where nothing flows through the shard."""

import threading
from datetime import timedelta

import pytest

from mevflow.flows.engine.adapters import SourceAdapter
from mevflow.flows.engine.meter import Meter
from tests.flows.engine.test_ahead import Steps


@pytest.mark.parametrize(("quiet_s", "pause_ms"), [(0.0, 1), (0.016, 1), (0.064, 4), (0.128, 8), (3600.0, 8)])
def test_the_pause_grows_with_the_silence_up_to_a_bound(monkeypatch, quiet_s, pause_ms):
    meter = Meter(None, {})
    part = SourceAdapter(lambda: Steps([]), threading.Event(), meter, "updates").build_part("updates", "all", None)
    monkeypatch.setattr(Meter, "quiet_s", property(lambda self: quiet_s))
    assert list(part.next_batch()) == []
    assert part.next_awake() is not None
    assert part._pause() == timedelta(milliseconds=pause_ms)
    part.close()


def test_rows_of_any_node_end_the_silence():
    meter = Meter(None, {})
    meter._flowed -= 1000
    meter.rows_out("swaps", 0)
    assert meter.quiet_s >= 1000
    meter.rows_out("swaps", 1)
    assert meter.quiet_s < 1000
