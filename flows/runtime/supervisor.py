"""The supervisor of one topology: starts its shards, restarts one that dies, drains all when told.

``python -m mevflow.flows.runtime.supervisor SPEC CLAIM`` (the descriptor of the topology's claim). A shard that exits
0 has finished; 2 means that it cannot work as configured, which no restart mends; anything else is tried again with a
doubling pause, for ever. One that dies :data:`FAILING` times at one place is said to be failing there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from mevflow.flows.runtime.claim import LockClaim
from mevflow.flows.runtime.lease import Lease
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.status import shard_status
from mevflow.flows.runtime.watched import FIRST_PAUSE_S, Shard, waiting_for, watched
from mevflow.metrics.endpoint import Endpoint
from mevflow.processes.background import ProcessId
from mevflow.processes.notify import Watchdog, notify
from mevflow.processes.private import UMASK, open_private
from mevflow.processes.status_file import write_status

LAST_PAUSE_S, HEALTHY_S = 30.0, 60.0
#: The status file is written again after so long even when nothing has changed: somebody may have removed it.
_REPEAT_S = 5.0


class Supervisor:
    """Watches the shards of one deployment; :meth:`run` gives the exit code of the whole."""

    def __init__(self, spec: RunSpec, claim: LockClaim, leases: Sequence[Lease] = ()) -> None:
        self.spec, self.claim, self.leases = spec, claim, leases
        self.shards = [Shard(number) for number in spec.numbers]
        self.stopping = False
        self.rolling: list[int] = []
        self.leaving: int | None = None
        self.fenced_by = ""
        self._saved: dict[str, Any] = {}
        self._save_due = 0.0
        self._endpoint: Endpoint | None = None
        me = ProcessId.of(os.getpid())
        assert me is not None
        self.me = me

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._begin_roll)
        if self.spec.metrics is not None and self.spec.replay is None:
            self._endpoint = watched(self.spec, self.shards)
        watchdog, told = Watchdog(), ""
        while any(shard.exit_code is None for shard in self.shards):
            watchdog.beat()
            told = self._notify(told)
            for lease in self.leases:
                if lease.lost.is_set():
                    self._fence(lease.taker)
            for shard in self.shards:
                self._look_after(shard)
            self._roll()
            self._save(self._state())
            time.sleep(0.05 if self.stopping else 0.2)
        if self._endpoint is not None:
            self._endpoint.close()
        codes = [shard.exit_code or 0 for shard in self.shards]
        for _ in range(50):  # the last word: a disk that is full is asked again for a while
            if self._save("fenced" if self.fenced_by else "failed" if any(codes) else "stopped"):
                break
            time.sleep(0.2)
        return max(codes)

    def _notify(self, told: str) -> str:
        """Tell the service manager how it stands, when that is other than ``told``."""
        if not os.environ.get("NOTIFY_SOCKET"):
            return told
        why = "draining" if self.stopping else waiting_for(self.spec, self.shards)
        status = why or f"{len(self.shards)} shards run"
        if status != told:
            words = ["STOPPING=1"] if self.stopping else [] if why else ["READY=1"]
            notify(*words, f"STATUS={status}")
        return status

    def _fence(self, taker: str) -> None:
        """Another deployment holds what this one does: end the shards where they stand, for a drain would write."""
        self.fenced_by = taker
        for shard in self.shards:
            if shard.process is not None:
                shard.process.kill()
                shard.process.wait()
                shard.process = None
            shard.exit_code = 1

    def _state(self) -> str:
        if self.stopping:
            return "stopping"
        return "failing" if any(shard.streak.failing for shard in self.shards) else "running"

    def _stop(self, *_: object) -> None:
        self.stopping = True
        for shard in self.shards:
            if shard.process is not None and shard.process.poll() is None:
                shard.process.send_signal(signal.SIGTERM)
                shard.process.send_signal(signal.SIGCONT)  # one that was stopped drains too

    def _begin_roll(self, *_: object) -> None:
        """SIGUSR1: drain and start the shards again, one after the other."""
        self.rolling = [shard.number for shard in self.shards]

    def _roll(self) -> None:
        """Ask the next shard to drain once the one before it runs again."""
        if not self.rolling or self.stopping:
            return
        shard = next(shard for shard in self.shards if shard.number == self.rolling[0])
        if shard.exit_code is not None:
            self.rolling.pop(0)
        elif shard.process is None:
            return
        elif self.leaving is None:
            self.leaving = shard.process.pid
            shard.process.send_signal(signal.SIGTERM)
        elif shard.process.pid != self.leaving:
            said = shard_status(self.spec.layout, shard.number)
            if said.get("pid") == shard.process.pid and said.get("state") == "running":
                self.rolling.pop(0)
                self.leaving = None

    def _look_after(self, shard: Shard) -> None:
        now = time.monotonic()
        if shard.exit_code is not None:
            return
        if shard.process is None:
            if self.stopping:
                shard.exit_code = 0
            elif now >= shard.due:
                self._start(shard)
            return
        code = shard.process.poll()
        if code is None:
            shard.streak.lived(now - shard.started)
            return
        pid, shard.process = shard.process.pid, None
        limit = self.spec.restarts
        if code != 0 and not self.stopping:
            said = shard_status(self.spec.layout, shard.number)
            if said.get("pid") == pid and said.get("state") == "fenced":
                self.fenced_by = str(said.get("error", ""))
            shard.streak.died(code, str(said.get("error", "")) if said.get("pid") == pid else "", now - shard.started)
        if code == 0 and pid == self.leaving and not self.stopping:
            return  # it is started again at once
        if code in (0, 2) or self.stopping or (limit is not None and shard.restarts >= limit):
            shard.exit_code = code if code >= 0 else 128 - code
            return
        if now - shard.started > HEALTHY_S:
            shard.pause_s = FIRST_PAUSE_S
        shard.restarts += 1
        shard.due = now + shard.pause_s
        self._log(shard, f"shard {shard.number} exited with {code}; again in {shard.pause_s:g} s")
        if shard.streak.failing:
            self._log(shard, f"shard {shard.number} is FAILING: {shard.streak}")
        shard.pause_s = min(2 * shard.pause_s, LAST_PAUSE_S)

    def _log(self, shard: Shard, text: str) -> None:
        with contextlib.suppress(OSError), open_private(self.spec.layout.log(shard.number), "a") as log:
            log.write(f"supervisor: {text}\n")

    def _start(self, shard: Shard) -> None:
        command = [sys.executable, "-m", "mevflow.flows.runtime.shard"]
        command += [str(self.spec.layout.spec), str(shard.number), str(self.me.pid)]
        try:
            with open_private(self.spec.layout.log(shard.number)) as log:
                shard.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(self.claim.fd,),
                )
        except OSError as error:  # no room for a log, no process to be had: later perhaps
            shard.streak.died(1, f"cannot be started: {error}", 0.0)
            shard.due, shard.pause_s = time.monotonic() + shard.pause_s, min(2 * shard.pause_s, LAST_PAUSE_S)
            return
        shard.started = time.monotonic()

    def _save(self, state: str) -> bool:
        """Say how things are, when that has changed. False when the disk did not take it: the next round tries."""
        fields = {
            "pid": self.me.pid,
            "started": self.me.started,
            "state": state,
            "topology": self.spec.topology,
            "deployment": self.spec.deployment,
            "epoch": self.spec.epoch,
            "file": self.spec.file,
            "fenced_by": self.fenced_by,
            "metrics": self._endpoint.address if self._endpoint is not None else "",
            "rolling": self.rolling,
            "shards": [self._entry(shard) for shard in self.shards],
        }
        now = time.monotonic()
        if fields == self._saved and now < self._save_due:
            return True
        if not write_status(self.spec.layout.supervisor, fields):
            return False
        self._saved, self._save_due = fields, now + _REPEAT_S
        return True

    def _entry(self, shard: Shard) -> dict[str, Any]:
        return {
            "shard": shard.number,
            "pid": shard.process.pid if shard.process else None,
            "restarts": shard.restarts,
            "exit_code": shard.exit_code,
            "failures": shard.streak.count,
            "failing_at": shard.streak.place if shard.streak.failing else "",
            "last_error": shard.streak.error,
        }


def main(argv: list[str]) -> int:
    """Entry point of the supervisor's process."""
    spec = RunSpec.load(Path(argv[0]))
    spec.reach()
    claim = LockClaim.inherited(spec.layout.claim, int(argv[1]), "supervisor")
    with ExitStack() as held:
        leases = [
            held.enter_context(Lease(spec.claims, msgspec.structs.replace(each, role="supervisor", pid=os.getpid())))
            for each in spec.held
        ]
        return Supervisor(spec, claim, leases).run()


if __name__ == "__main__":
    os.umask(UMASK)
    sys.exit(main(sys.argv[1:]))
