"""The detector gives the alarms of river's PageHinkley, survives a snapshot and is quiet on noise."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import PageHinkley as Rivers

from mevflow.operators.learn.drift import PageHinkley


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32), threshold=st.floats(0.5, 20))
def test_alarms_are_those_of_river(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(np.concatenate([rng.normal(m, 0.3, 150) for m in rng.uniform(-0.7, 0.7, 4)]), -1, 1)
    ours, theirs = PageHinkley(), Rivers(threshold=threshold, delta=0.005)
    for value in values.tolist():
        theirs.update(value)
        assert ours.update(value, threshold) == theirs.drift_detected
        ours = msgspec.msgpack.decode(msgspec.msgpack.encode(ours), type=PageHinkley)


def test_noise_is_no_drift_and_a_step_is_one() -> None:
    rng = np.random.default_rng(5)
    detector = PageHinkley()
    assert not any(detector.update(value, 20.0) for value in rng.normal(0.2, 0.2, 2000).tolist())
    alarms = [i for i, value in enumerate(rng.normal(-0.4, 0.2, 500).tolist()) if detector.update(value, 20.0)]
    assert alarms
    assert alarms[0] < 100
