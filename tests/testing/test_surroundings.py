"""What a part does is told from what other threads of the process do meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mevflow.testing import ContractBroken
from mevflow.testing.surroundings import changed_surroundings


@contextmanager
def another_thread_draws() -> Iterator[list[float]]:
    """Within the block a thread draws global random numbers, and looks at the clock."""
    end, begun, clock = threading.Event(), threading.Event(), []

    def draw() -> None:
        while not end.is_set():
            random.random()
            clock.append(time.time())
            begun.set()
            time.sleep(0)

    thread = threading.Thread(target=draw)
    thread.start()
    begun.wait()
    try:
        yield clock
    finally:
        end.set()
        thread.join()


def wait_for_more(clock: list[float]) -> None:
    seen = len(clock)
    while len(clock) < seen + 3:
        pass


def test_what_another_thread_draws_is_no_breach_and_its_clock_stays() -> None:
    with another_thread_draws() as clock:
        before = time.time()
        with changed_surroundings():
            wait_for_more(clock)
            assert time.time() - before > 86_400
    assert max(clock) - before < 86_400


@pytest.mark.parametrize(
    "draw",
    [random.random, lambda: random.choice([1, 2]), lambda: random.gauss(0, 1), lambda: random.shuffle([1, 2])],
    ids=["random", "choice", "gauss", "shuffle"],
)
def test_a_part_that_draws_is_found_alone_and_among_threads(draw) -> None:
    with pytest.raises(ContractBroken, match="Python's global random numbers"), changed_surroundings():
        draw()
    with another_thread_draws(), pytest.raises(ContractBroken, match="global random numbers"), changed_surroundings():
        draw()
