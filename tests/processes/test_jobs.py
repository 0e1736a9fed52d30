"""Jobs that are asked for at the same moment: one of each id, and no more at once than may run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mevflow.flows.replay import jobs as replays
from mevflow.learning import jobs as training
from mevflow.learning.jobs import TrainingJobs
from mevflow.operators.errors import UsageError
from mevflow.processes.background import ProcessId
from mevflow.processes.private import write_private

CALLERS = 8


def at_once(call: Callable[[int], Any]) -> tuple[list[Any], list[UsageError]]:
    """What calls of so many threads at one moment gave, and the usage errors that they raised."""
    together, done, refused = threading.Barrier(CALLERS), [], []

    def run(number: int) -> None:
        together.wait()
        try:
            done.append(call(number))
        except UsageError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done, refused


@pytest.fixture(params=["training", "replays"])
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Start a job of an id. Its process is this one: it takes its time to start, and runs."""

    def slowly(*_: object) -> ProcessId | None:
        time.sleep(0.02)
        return ProcessId.of(os.getpid())

    monkeypatch.setattr(training if request.param == "training" else replays, "start_job", slowly)

    def begin(identifier: str) -> Any:
        plan: Any = SimpleNamespace(run_id=identifier, topology="t", messages=1, from_us=None, to_us=None)
        if request.param == "training":
            return TrainingJobs(tmp_path).start(plan, "node", "name", "", tmp_path / "t.yaml")
        return replays.start(plan, tmp_path / "t.yaml", tmp_path, [])

    return begin


def test_of_jobs_with_one_id_one_is_started(start: Callable[[str], Any]) -> None:
    done, refused = at_once(lambda _: start("same"))
    assert (len(done), len(refused)) == (1, CALLERS - 1)


def test_no_more_run_than_may(start: Callable[[str], Any]) -> None:
    done, refused = at_once(lambda number: start(f"job-{number}"))
    assert (len(done), len(refused)) == (training.MAX_RUNNING, CALLERS - training.MAX_RUNNING)


def test_threads_that_write_one_file_leave_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    texts = [msgspec.json.encode([number] * 20_000) for number in range(CALLERS)]

    def write(number: int) -> None:
        for _ in range(20):
            write_private(path, texts[number])

    done, refused = at_once(write)
    assert (len(done), refused) == (CALLERS, [])
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]
