"""A shard that dies again and again at one place is said to be failing there, and goes on being tried."""

import json
import signal
import subprocess
import sys

import pytest

from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.streak import FAILING, Streak
from mevflow.operators.errors import MevflowError
from tests.flows import test_claims
from tests.flows.test_claims import mevflow, wait_for

world = test_claims.world
SUPERVISOR = """\
import sys
from pathlib import Path
from mevflow.flows.runtime import deploy, supervisor
supervisor.FIRST_PAUSE_S = supervisor.LAST_PAUSE_S = 0.01
spec = deploy.prepare(Path(sys.argv[1]), "sums", Path(sys.argv[2]), shards=None, fresh=False)
with deploy.claimed(spec) as (ready, claim, leases):
    sys.exit(supervisor.Supervisor(ready, claim, leases).run())
"""


@pytest.mark.parametrize("how", ["raises", "aborts"])
def test_a_shard_that_always_dies_at_one_row_is_failing(world, tmp_path, how):
    file, var, _ = world
    died = tmp_path / "no" / "such" / "folder" if how == "raises" else tmp_path / "kill"
    text = file.read_text().replace("die_at: -1", "die_at: 300").replace(f"{tmp_path / 'out.txt'}.died", str(died))
    file.write_text(text.replace("die_at: 300", f"die_at: 300, abort: {str(how == 'aborts').lower()}"))
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(file), str(var)])
    try:
        wait_for(lambda: deploy.status("sums", var)["state"] == "failing", 120)
        now = deploy.status("sums", var)
        (shard,) = now["shards"]
        assert shard["failures"] >= FAILING
        wanted = "SIGABRT" if how == "aborts" else "No such file or directory"
        assert wanted in shard["failing_at"]
        with pytest.raises(MevflowError, match="failing"):
            deploy.wait_until("sums", var, lambda _: False, 5)
        asked = mevflow("status", "sums", "--file", file, "--json")
        out, said = asked.communicate()
        assert asked.returncode == 4
        assert json.loads(out)["shards"][0]["failing_at"] == shard["failing_at"]
        assert wanted in said
        assert "is FAILING" in deploy.Layout.live(var, "sums").log(0).read_text()
        assert supervisor.poll() is None  # it goes on trying
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()


def test_a_streak_is_of_one_place():
    streak = Streak()
    for _ in range(FAILING - 1):
        streak.died(1, "swaps[3]@7: it will not do\n  try: nothing", 90.0)
    streak.lived(100.0)  # no further than before
    assert not streak.failing
    streak.died(1, "swaps[3]@7: it will not do", 90.0)
    assert streak.failing
    assert streak.place == "swaps[3]@7: it will not do"
    streak.died(-9, "", 1.0)
    assert (streak.count, streak.place) == (1, "SIGKILL, without a word in its status")
    streak.lived(200.0)
    assert streak.count == 0
