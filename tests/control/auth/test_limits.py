"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.control.auth import limits as module
from mevflow.control.auth.identity import AuthError, Identity, Role
from mevflow.control.auth.limits import Rate, RateLimits
from tests.control.auth.conftest import THREADS_DRAW

ANN, BOB = Identity("ann", Role.ADMIN), Identity("bob", Role.ADMIN)


def test_a_burst_then_the_rate_and_each_for_themselves():
    limits = RateLimits(Rate(10, 3), Rate(1, 1), Rate(1, 1))
    for _ in range(3):
        limits.take(ANN, "Status", 0.0)
    with pytest.raises(AuthError) as refused:
        limits.take(ANN, "Status", 0.0)
    assert (refused.value.code, refused.value.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMIT")
    assert refused.value.retry_after_s == pytest.approx(0.1)
    limits.take(BOB, "Status", 0.0)
    limits.take(ANN, "Status", 0.11)


def test_nothing_uses_up_what_the_kill_switch_needs():
    limits = RateLimits(Rate(1, 1), Rate(1, 1), Rate(1, 2))
    for method in ("Status", "Apply"):
        limits.take(ANN, method, 0.0)
        with pytest.raises(AuthError):
            limits.take(ANN, method, 0.0)
    with pytest.raises(AuthError):
        limits.take(ANN, "Release", 0.0)
    for _ in range(2):
        limits.take(ANN, "Kill", 0.0)
    with pytest.raises(AuthError):
        limits.take(ANN, "Kill", 0.0)


@THREADS_DRAW
@given(st.lists(st.floats(0, 2, width=32), min_size=1, max_size=80), st.integers(1, 20), st.integers(1, 10))
def test_never_more_than_the_burst_and_the_rate(gaps, rate, burst):
    limits = RateLimits(Rate(rate, burst), Rate(1, 1), Rate(1, 1))
    now = taken = 0.0
    waits = []
    for gap in gaps:
        now += gap
        try:
            limits.take(ANN, "Status", now)
            taken += 1
        except AuthError as refused:
            waits.append(refused.retry_after_s)
    assert all(0 < wait_s <= 1 / rate + 1e-9 for wait_s in waits)
    assert taken <= burst + rate * (now - gaps[0]) + 1e-6


def test_strangers_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 8)
    limits = RateLimits(Rate(1, 1), Rate(1, 1), Rate(1, 1))
    for number in range(50):
        limits.take(Identity(str(number), Role.VIEWER), "Status")
    assert len(limits._buckets) == 8
