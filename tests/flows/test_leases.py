"""One of each thing for all folders and hosts: claims in Kafka, and what becomes of a holder that slept too long."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mevflow.flows.replay import plan as replay
from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.claim import HeldError
from mevflow.flows.runtime.claim_log import LEASE_S, ClaimLog, ClaimRecord, ClaimStanding
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.lease import Lease, Wakefulness
from mevflow.flows.runtime.spec import ReplaySpec, RunSpec
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.background import ProcessId
from tests.flows import plugin
from tests.flows.runtime.test_deploy import FILE, assert_unbroken, lines
from tests.flows.test_claims import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folders(tmp_path, monkeypatch, kafka_broker, request):
    """Two folders with one topology of the test's own; gives its name and the folders."""
    plugin.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{ROOT}")
    name = "t-" + tmp_path.name.replace("_", "-")[-40:]
    places = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        text = FILE.format(stop=0, pause_s=0.002, die_at=-1, out=tmp_path / place / "out.txt")
        text = text.replace(
            "defaults: {", f"defaults: {{kafka: {{bootstrap: {kafka_broker}}}, control: {{enabled: false}}, "
        )
        (tmp_path / place / "t.yaml").write_text(text.replace("  sums:\n    nodes", f"  {name}:\n    nodes"))
        places.append(tmp_path / place)
    yield name, *places
    for place in places:
        layout = Layout.live(place / "var", name)
        for process in [ProcessId.load(layout.supervisor), *deploy.orphans(layout)]:
            if process is not None:
                process.signal(signal.SIGCONT)
                process.end(10)


def start(name, place, **options):
    spec = deploy.prepare(place / "t.yaml", name, place / "var", shards=None, fresh=False, **options)
    deploy.start(spec)
    return Layout.live(place / "var", name)


def moves(place, rows=50):
    path = place / "out.txt"
    before = len(lines(path)) if path.exists() else 0
    wait_for(lambda: path.exists() and len(lines(path)) > before + rows)


def test_a_topology_that_runs_from_another_folder_is_refused(folders):
    name, here, there = folders
    layout = start(name, here)
    moves(here)
    with pytest.raises(UsageError, match="already deployed from another folder or host") as refused:
        start(name, there)
    supervisor = ProcessId.load(layout.supervisor)
    assert str(layout.root) in str(refused.value)
    assert "since 20" in str(refused.value)
    assert "--takeover" in str(refused.value)
    # Killed, and deployed again from its own folder: nobody has to wait for a lease there.
    supervisor.signal(signal.SIGKILL)
    wait_for(lambda: deploy.status(name, here / "var")["state"] == "killed")
    before = RunSpec.load(layout.spec).epoch
    start(name, here)
    assert RunSpec.load(layout.spec).epoch > before
    moves(here)
    deploy.stop(name, here / "var")
    assert_unbroken(lines(here / "out.txt"))
    start(name, there)  # at once, for the former one has let go
    deploy.stop(name, there / "var")


def test_a_takeover_ends_the_former_holder(folders):
    name, here, there = folders
    layout = start(name, here)
    moves(here)
    other = start(name, there, takeover=True)
    assert RunSpec.load(other.spec).epoch > RunSpec.load(layout.spec).epoch
    wait_for(lambda: deploy.status(name, here / "var")["state"] == "fenced")
    found = deploy.status(name, here / "var")
    assert str(other.root) in found["fenced_by"]
    assert deploy.orphans(layout) == []
    moves(there)
    deploy.stop(name, there / "var")
    assert_unbroken(lines(there / "out.txt"))


def test_a_deployment_that_slept_finds_its_successor_and_ends(folders):
    """Supervisor and shard are stopped, the lease runs out, another folder deploys; then they wake."""
    name, here, there = folders
    layout = start(name, here)
    moves(here)
    asleep = [ProcessId.load(layout.supervisor), *deploy.orphans(layout)]
    for process in asleep:
        process.signal(signal.SIGSTOP)
    asked = time.monotonic()
    with pytest.raises(UsageError, match="already deployed from another folder"):
        start(name, there)
    while True:
        try:
            other = start(name, there)
            break
        except UsageError:
            assert time.monotonic() - asked < 20 * LEASE_S
            time.sleep(1)
    assert time.monotonic() - asked > LEASE_S / 2
    assert RunSpec.load(other.spec).epoch > RunSpec.load(layout.spec).epoch
    before = len(lines(here / "out.txt"))
    for process in asleep:
        process.signal(signal.SIGCONT)
    wait_for(lambda: not any(process.alive for process in asleep))
    assert deploy.status(name, here / "var")["state"] == "fenced"
    assert len(lines(here / "out.txt")) - before <= 20  # what it had in hand: one poll, which a sink refuses by epoch
    moves(there)
    deploy.stop(name, there / "var")


def test_a_second_replay_of_a_run_id_is_refused(tmp_path, kafka_broker):
    def spec(var, claims):
        root = Layout.replay(tmp_path / var, "t", "r1").root
        return RunSpec(
            file="t.yaml", topology="t", root=str(root), var=str(tmp_path / var), shards=1, shape="",
            replay=ReplaySpec("r1", {}), claims=claims,
        )  # fmt: skip

    with replay.exclusive(spec("one", kafka_broker)):
        marker = spec("one", "").layout.root / "marker"
        marker.touch()
        for second in (spec("one", ""), spec("two", kafka_broker)):
            with (
                pytest.raises(UsageError, match="run r1 of t is being replayed: held by replay"),
                replay.exclusive(second),
            ):
                pass
        assert marker.exists()  # the folder of the first is as it was
    with replay.exclusive(spec("two", kafka_broker)):
        assert not (spec("two", "").layout.root / "marker").exists()


def test_a_killed_holder_lets_go_when_its_lease_runs_out(tmp_path, kafka_broker):
    script = (
        "import sys; from pathlib import Path; from mevflow.flows.runtime.lease import Lease;"
        "Lease.take(sys.argv[1], 'x/killed', Path(sys.argv[2]), 'test'); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, kafka_broker, "/elsewhere"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(HeldError, match="held by test"):
        Lease.take(kafka_broker, "x/killed", tmp_path, "test")
    child.kill()
    child.wait()

    def free():
        try:
            Lease.take(kafka_broker, "x/killed", tmp_path, "test").release()
        except HeldError:
            return False
        return True

    wait_for(free, 20 * LEASE_S)


def test_of_many_at_once_one_holds(tmp_path, kafka_broker):
    import threading

    held, refused = [], []

    def claim(number):
        try:
            held.append(Lease.take(kafka_broker, "x/many", tmp_path / str(number), "test"))
        except HeldError as error:
            refused.append(error)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 5)
    log = ClaimLog(kafka_broker, "x/many")
    assert log.read().record.owner == held[0].record.owner
    log.close()
    held[0].release()


def test_who_slept_asks_before_going_on(tmp_path, kafka_broker):
    with Lease.take(kafka_broker, "x/slept", tmp_path / "a", "test") as lease:
        awake = Wakefulness(kafka_broker, [lease.record], limit_s=0.0)
        time.sleep(0.01)
        awake()
        with Lease.take(kafka_broker, "x/slept", tmp_path / "b", "test", takeover=True):
            time.sleep(0.01)
            with pytest.raises(MevflowError, match="taken over"):
                awake()
            wait_for(lease.lost.is_set)
            with pytest.raises(MevflowError, match="another has taken this over"):
                lease.check()


LEASE_MS = int(LEASE_S * 1000)


@pytest.mark.parametrize(
    ("second", "holds"),
    [
        ({"at": 10}, False),
        ({"at": 10, "place": "a"}, True),
        ({"at": 10, "place": "a", "epoch": 1}, False),
        ({"at": 10, "takeover": True}, True),
        ({"at": 10, "takeover": True, "epoch": 1}, False),
        ({"at": LEASE_MS}, False),
        ({"at": LEASE_MS + 1}, True),
        ({"at": 10, "kind": "renew"}, False),
        ({"at": 10, "kind": "release"}, False),
    ],
)
def test_the_rules(second, holds):
    def record(owner, place, **fields):
        given = {"kind": "claim", "epoch": 2, "takeover": False} | fields
        return ClaimRecord(given["kind"], "n", owner, given["epoch"], place, "test", 1, 0, given["takeover"])

    at = second.pop("at")
    standing = ClaimStanding().after(record("one", "a", epoch=1), 0)
    assert (standing.held, standing.record.owner) == (True, "one")
    after = standing.after(record("two", second.pop("place", "b"), **second), at)
    assert after.record.owner == ("two" if holds else "one")
    assert after.held
    released = standing.after(record("one", "a", kind="release", epoch=1), 1)
    assert not released.held
    assert released.after(record("three", "c"), 2).record.owner == "three"
