"""When a start is no longer waited for: by what its processes have done, never by the clock alone."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from mevflow.processes import startup
from mevflow.processes.startup import Startup, Usage


@pytest.fixture
def told(monkeypatch):
    """What the processes have used, as a test says it; a look at them comes each second."""
    clock = itertools.count()
    said = []
    monkeypatch.setattr(startup, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    monkeypatch.setattr(Usage, "of", classmethod(lambda cls, pids: said.pop(0) if len(said) > 1 else said[0]))
    return said


@pytest.mark.parametrize("usage", [Usage(0.31, 0.013757831), Usage(0.1, 0.2), Usage(0.7, 0.1), Usage()])
def test_who_stands_still_is_found_out_whatever_it_used_before(told, usage):
    """Sums of such numbers differ in their last digit by the order in which they are taken."""
    told.append(usage)
    start = Startup([], silent_s=5)
    assert any(start.fault([1]) == "has done nothing for 5 s" for _ in range(12))


def test_who_works_or_waits_for_a_core_is_waited_for(told):
    told.extend(Usage(0.3 * step, 0.3 * (step % 2)) for step in range(100))
    start = Startup([], silent_s=5)
    assert not any(start.fault([1]) for _ in range(99))


def test_an_ended_process_among_them_is_not_a_standstill(told):
    told.extend(Usage(10.0 - step) for step in range(10))
    start = Startup([], silent_s=1)
    assert not any(start.fault([1]) for _ in range(9))


def test_who_computes_for_ever_is_lost(told):
    told.append(Usage(901.0))
    assert Startup([]).fault([1]) == "has computed for 901 s without being ready"


def test_a_log_that_grows_is_work(told, tmp_path: Path):
    told.append(Usage())
    log = tmp_path / "log"
    start = Startup([log], silent_s=2)
    for step in range(6):
        log.write_text("x" * (step + 1))
        assert start.fault([1]) == ""
