"""One of each thing: two deploys at once, supervisors and shards that are killed or stopped at bad moments."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.claim import HeldError, LockClaim, holder_of, holders
from mevflow.flows.runtime.layout import Layout
from mevflow.operators.errors import UsageError
from mevflow.processes.background import ProcessId
from tests.flows import plugin
from tests.flows.runtime.test_deploy import FILE, assert_unbroken, lines, wait_for_rows

ROOT = Path(__file__).resolve().parents[2]
#: Holds a shard up while it imports, for as long as the file ``hold`` is there; ``here`` says that it has come so far.
SITE = """\
import pathlib, sys, time
folder = pathlib.Path({folder!r})
if "mevflow.flows.runtime.shard" in sys.orig_argv and (folder / "hold").exists():
    (folder / "here").touch()
    while (folder / "hold").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """(topology file, var, the file that the sink writes)."""
    plugin.install(tmp_path / "site")
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE.format(folder=str(tmp_path)))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{ROOT}")
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path / "var"))
    out = tmp_path / "out.txt"
    file = tmp_path / "t.yaml"
    file.write_text(FILE.format(stop=0, pause_s=0.001, die_at=-1, out=out))
    yield file, tmp_path / "var", out
    (tmp_path / "hold").unlink(missing_ok=True)
    layout = Layout.live(tmp_path / "var", "sums")
    for process in [ProcessId.load(layout.supervisor), *deploy.orphans(layout)]:
        if process is not None:
            process.end(10)


def mevflow(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "mevflow.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(*words):
    """What a command prints as JSON, and its exit code."""
    process = mevflow(*words, "--json")
    out, _ = process.communicate()
    return json.loads(out) if out else None, process.returncode


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(world, **options):
    file, var, _ = world
    return deploy.start(deploy.prepare(file, "sums", var, shards=None, fresh=False), **options)


def test_a_claim_ends_with_its_last_holder(tmp_path):
    path = tmp_path / "claim"
    with LockClaim.take(path, "first", "it is held") as claim:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(claim.fd,))
    try:
        with pytest.raises(HeldError, match=rf"it is held by first \(pid {os.getpid()} on .*, since "):
            LockClaim.take(path, "second", "it is held")
        assert [process.pid for process in holders(path)] == [child.pid]
    finally:
        child.kill()
        child.wait()
    with LockClaim.take(path, "second", "it is held"):
        assert holder_of(path).role == "second"
    assert holders(path) == []


def test_of_two_deploys_at_once_one_runs(world):
    file, var, out = world
    both = [mevflow("deploy", "sums", "--file", file) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    refused = said[[process.returncode for process in both].index(2)]
    assert "already deployed" in refused
    layout = Layout.live(var, "sums")
    assert len(deploy.orphans(layout)) == 1  # one shard, and it has a supervisor
    wait_for_rows(var, 50)
    assert deploy.stop("sums", var)["state"] == "stopped"
    assert holders(layout.claim) == []
    assert_unbroken(lines(out))


def importing(world, tmp_path):
    """A supervisor and its shard that imports; the deploy that started them is killed, or it would end the shard."""
    _, var, _ = world
    (tmp_path / "hold").touch()
    deploying = mevflow("deploy", "sums", "--file", world[0])
    wait_for((tmp_path / "here").exists)
    layout = Layout.live(var, "sums")
    (shard,) = deploy.orphans(layout)
    wait_for(lambda: ProcessId.load(layout.supervisor) is not None)
    deploying.kill()
    deploying.communicate()
    return ProcessId.load(layout.supervisor), shard


def kill_while_importing(world, tmp_path):
    """Kill the supervisor while its shard imports; gives the shard."""
    supervisor, shard = importing(world, tmp_path)
    supervisor.signal(signal.SIGKILL)
    wait_for(lambda: not supervisor.alive)
    return shard


def test_a_supervisor_killed_while_its_shard_imports_leaves_no_second_shard(world, tmp_path):
    file, var, out = world
    start(world)
    wait_for_rows(var, 50)
    deploy.stop("sums", var)
    shard = kill_while_importing(world, tmp_path)
    found, code = ask("status", "sums", "--file", file)
    assert (found["state"], found["orphans"], code) == ("orphaned", [shard.pid], 4)
    successor = mevflow("deploy", "sums", "--file", file)
    assert "waiting for shards of an earlier deployment" in "".join(successor.stderr.readline() for _ in range(3))
    assert shard.alive
    (tmp_path / "hold").unlink()
    _, said = successor.communicate()
    assert successor.returncode == 0, said
    assert not shard.alive
    wait_for_rows(var, 50)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))


def test_a_shard_that_lost_its_supervisor_is_ended_by_stop(world, tmp_path):
    _, var, _ = world
    shard = kill_while_importing(world, tmp_path)
    assert deploy.stop("sums", var, 60)["state"] == "stopped"  # SIGTERM ends what has no handler yet
    assert not shard.alive
    with pytest.raises(UsageError, match="not running"):
        deploy.stop("sums", var)


def test_a_supervisor_that_dies_as_it_is_asked_to_stop_leaves_no_shard(world, tmp_path, monkeypatch):
    _, var, _ = world
    supervisor, shard = importing(world, tmp_path)
    real = ProcessId.signal
    # No signal of ours can meet it in that moment for sure.
    monkeypatch.setattr(
        ProcessId, "signal", lambda self, number: real(self, signal.SIGKILL if self == supervisor else number)
    )
    assert deploy.stop("sums", var, 60)["state"] == "stopped"
    assert not shard.alive


def test_a_stopped_shard_whose_supervisor_died_has_no_successor_until_it_is_gone(world, monkeypatch):
    _, var, out = world
    start(world)
    wait_for_rows(var, 50)
    layout = Layout.live(var, "sums")
    shard = ProcessId.of(deploy.shard_status(layout, 0)["pid"])
    shard.signal(signal.SIGSTOP)
    supervisor = ProcessId.load(layout.supervisor)
    supervisor.signal(signal.SIGKILL)
    wait_for(lambda: not supervisor.alive)
    assert deploy.status("sums", var)["state"] == "orphaned"
    monkeypatch.setattr(deploy, "DRAIN_S", 0.3)
    with pytest.raises(UsageError, match=f"do not end \\(pid {shard.pid}\\)"):
        start(world)
    assert deploy.stop("sums", var, 20)["state"] == "stopped"  # it wakes, and drains
    start(world)
    wait_for_rows(var, 50)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))


def test_a_stopped_supervisor_is_still_the_holder(world):
    _, var, out = world
    start(world)
    wait_for_rows(var, 20)
    supervisor = ProcessId.load(Layout.live(var, "sums").supervisor)
    supervisor.signal(signal.SIGSTOP)
    with pytest.raises(UsageError, match="already deployed"):
        start(world)
    assert deploy.stop("sums", var, 20)["state"] == "stopped"
    assert_unbroken(lines(out))


def test_a_second_shard_on_one_recovery_store_is_refused(world):
    _, var, _ = world
    start(world)
    layout = Layout.live(var, "sums")
    second = subprocess.run(
        [sys.executable, "-m", "mevflow.flows.runtime.shard", str(layout.spec), "0"], capture_output=True, text=True
    )
    assert second.returncode == 1
    assert "shard 0 of sums is run by shard" in second.stderr
    deploy.stop("sums", var)


def test_a_full_disk_ends_neither_supervisor_nor_shard(world, tmp_path):
    """The folder of the run is a small disk that another fills: the shard waits, and goes on."""
    _, var, out = world
    root = Layout.live(var, "sums").make().root
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(root)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs leave to mount a small disk")
    try:
        start(world)
        wait_for_rows(var, 50)
        layout = Layout.live(var, "sums")
        before = deploy.status("sums", var)
        fill(root)
        stale = deploy.shard_status(layout, 0)["updated_s"]
        layout.supervisor.unlink()  # it has to be written anew, which the disk does not allow
        fill(root)
        time.sleep(3)  # several epochs, and every repetition of a status file, fall into this
        assert deploy.shard_status(layout, 0)["updated_s"] <= stale + 1.0
        (root / "filler").unlink()
        wait_for(lambda: deploy.shard_status(layout, 0)["updated_s"] > stale + 1.0 and layout.supervisor.exists())
        rows = deploy.status("sums", var)["shards"][0]["rows"]
        wait_for_rows(var, rows + 50)
        after = deploy.status("sums", var)
        assert (after["state"], after["pid"], after["shards"][0]["restarts"]) == ("running", before["pid"], 0)
        assert after["shards"][0]["pid"] == before["shards"][0]["pid"]
        deploy.stop("sums", var)
        assert_unbroken(lines(out))
    finally:
        (root / "filler").unlink(missing_ok=True)
        for process in holders(Layout.live(var, "sums").claim):  # the disk goes, and with it who they are
            process.end(10)
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(folder):
    """Write until the disk is full."""
    with (folder / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
