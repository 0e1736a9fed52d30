"""Deploy, drain, resume, restart: with real processes and Bytewax's recovery store."""

import os
import signal
from pathlib import Path

import pytest

from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.layout import Layout
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.processes.background import ProcessId
from tests.flows import plugin
from tests.flows.test_private_var import open_to_others

FILE = """\
version: 1
defaults: {{recovery: {{epoch_s: 0.2}}}}
topologies:
  sums:
    nodes:
      numbers: {{use: test.count, with: {{stop: {stop}, pause_s: {pause_s}}}}}
      sums: {{use: test.sum, from: numbers, with: {{die_at: {die_at}, die_file: "{out}.died"}}}}
      kept: {{use: test.file, from: sums, with: {{path: "{out}"}}}}
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    plugin.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    out = tmp_path / "out.txt"

    def write(stop=0, pause_s=0.001, die_at=-1) -> Path:
        path = tmp_path / "t.yaml"
        path.write_text(FILE.format(stop=stop, pause_s=pause_s, die_at=die_at, out=out))
        return path

    yield write, tmp_path / "var", out
    supervisor = ProcessId.load(Layout.live(tmp_path / "var", "sums").supervisor)
    if supervisor is not None:
        supervisor.end(10)


def lines(out: Path) -> list[str]:
    return out.read_text().splitlines()


def assert_unbroken(found: list[str]) -> None:
    total = 0
    for n, line in enumerate(found):
        total += n
        assert line == f"{n} {total}"


def wait_for_rows(var, rows):
    def enough(status):
        shards = status["shards"]
        return bool(shards) and shards[0].get("nodes", {}).get("numbers", {}).get("rows_out", 0) >= rows

    assert deploy.wait_until("sums", var, enough, 30)


def test_stop_drains_and_the_next_run_goes_on_exactly_there(world):
    write, var, out = world
    for rows in (200, 50):
        spec = deploy.prepare(write(), "sums", var, shards=None, fresh=False)
        deploy.start(spec)
        wait_for_rows(var, rows)
        assert deploy.stop("sums", var)["state"] == "stopped"
        assert deploy.status("sums", var)["state"] == "stopped"
        assert_unbroken(lines(out))
    assert len(lines(out)) >= 250


def test_a_bounded_source_ends_the_run_by_itself(world):
    write, var, out = world
    deploy.start(deploy.prepare(write(stop=300), "sums", var, shards=None, fresh=False))
    assert deploy.wait_until("sums", var, lambda s: s["state"] == "stopped", 30)
    assert len(lines(out)) == 300
    assert_unbroken(lines(out))


def test_a_shard_that_dies_is_started_again_and_loses_nothing(world):
    write, var, out = world
    deploy.start(deploy.prepare(write(stop=2000, pause_s=0.005, die_at=1500), "sums", var, shards=None, fresh=False))
    assert deploy.wait_until("sums", var, lambda s: s["state"] == "stopped", 60)
    assert Path(f"{out}.died").exists()
    assert len(lines(out)) == 2000
    assert_unbroken(lines(out))
    assert deploy.status("sums", var)["shards"][0]["restarts"] == 1


def test_what_a_run_keeps_is_private(world):
    write, var, _ = world
    before = os.umask(0)
    try:
        deploy.start(deploy.prepare(write(), "sums", var, shards=None, fresh=False))
        wait_for_rows(var, 50)
    finally:
        os.umask(before)
    assert not open_to_others(var / "run")
    assert list(var.glob("run/sums/recovery/shard-0/*.sqlite3"))
    deploy.stop("sums", var)


def test_a_killed_supervisor_takes_its_shards_down_in_order(world):
    write, var, out = world
    deploy.start(deploy.prepare(write(), "sums", var, shards=None, fresh=False))
    wait_for_rows(var, 50)
    layout = Layout.live(var, "sums")
    shard = ProcessId.of(deploy.shard_status(layout, 0)["pid"])
    os.kill(ProcessId.load(layout.supervisor).pid, signal.SIGKILL)
    assert shard.wait(10)
    assert deploy.status("sums", var)["state"] == "killed"
    assert_unbroken(lines(out))


def test_clear_refusals(world):
    write, var, _ = world
    path = write()
    with pytest.raises(UsageError, match="no topology 'other'"):
        deploy.prepare(path, "other", var, shards=None, fresh=False)
    with pytest.raises(UsageError, match="not running"):
        deploy.stop("sums", var)
    deploy.start(deploy.prepare(path, "sums", var, shards=None, fresh=False))
    with pytest.raises(UsageError, match="already deployed"):
        deploy.prepare(path, "sums", var, shards=None, fresh=False)
    wait_for_rows(var, 10)
    deploy.stop("sums", var)
    with pytest.raises(StateError, match="1 shards, not 2"):
        deploy.prepare(path, "sums", var, shards=2, fresh=False)
    path.write_text(path.read_text().replace("sums: {use", "summed: {use").replace("from: sums", "from: summed"))
    with pytest.raises(StateError, match="nodes or wires"):
        deploy.prepare(path, "sums", var, shards=None, fresh=False)
    deploy.prepare(path, "sums", var, shards=None, fresh=True)


def test_an_unwritable_folder(world):
    write, var, _ = world
    var.mkdir()
    (var / "run").touch()  # a file where a folder must be: unwritable even for root
    with pytest.raises(MevflowError, match="cannot be written"):
        deploy.prepare(write(), "sums", var, shards=None, fresh=False)


def test_a_start_that_fails_says_why(world, tmp_path):
    write, var, out = world
    path = write()
    path.write_text(path.read_text().replace(f'path: "{out}"', 'path: "/nowhere/at/all"'))
    with pytest.raises(MevflowError, match="did not start"):
        deploy.start(deploy.prepare(path, "sums", var, shards=None, fresh=False))
