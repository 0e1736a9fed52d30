"""The supervisor of one topology: starts its shards, restarts one that dies, drains all when told.

``python -m mevflow.flows.runtime.supervisor SPEC``. A shard that exits 0 has finished; 2 means that it cannot work as
configured, which no restart mends; anything else is tried again with a doubling pause.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mevflow.flows.runtime.spec import RunSpec
from mevflow.operators.private import UMASK, open_private
from mevflow.processes.background import ProcessId

FIRST_PAUSE_S, LAST_PAUSE_S, HEALTHY_S = 1.0, 30.0, 60.0


@dataclass
class _Shard:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    pause_s: float = FIRST_PAUSE_S
    due: float = 0.0
    exit_code: int | None = None  # set once it is not to be started again


class Supervisor:
    """Watches the shards of one deployment; :meth:`run` gives the exit code of the whole."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.shards = [_Shard(number) for number in range(spec.shards)]
        self.stopping = False
        me = ProcessId.of(os.getpid())
        assert me is not None
        self.me = me

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while any(shard.exit_code is None for shard in self.shards):
            for shard in self.shards:
                self._look_after(shard)
            self._save("stopping" if self.stopping else "running")
            time.sleep(0.05 if self.stopping else 0.2)
        codes = [shard.exit_code or 0 for shard in self.shards]
        self._save("failed" if any(codes) else "stopped")
        return max(codes)

    def _stop(self, *_: object) -> None:
        self.stopping = True
        for shard in self.shards:
            if shard.process is not None and shard.process.poll() is None:
                shard.process.send_signal(signal.SIGTERM)

    def _look_after(self, shard: _Shard) -> None:
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
            return
        shard.process = None
        limit = self.spec.restarts
        if code in (0, 2) or self.stopping or (limit is not None and shard.restarts >= limit):
            shard.exit_code = code if code >= 0 else 128 - code
            return
        if now - shard.started > HEALTHY_S:
            shard.pause_s = FIRST_PAUSE_S
        shard.restarts += 1
        shard.due = now + shard.pause_s
        with open_private(self.spec.layout.log(shard.number), "a") as log:
            log.write(f"supervisor: shard {shard.number} exited with {code}; again in {shard.pause_s:g} s\n")
        shard.pause_s = min(2 * shard.pause_s, LAST_PAUSE_S)

    def _start(self, shard: _Shard) -> None:
        command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(self.spec.layout.spec), str(shard.number)]
        with open_private(self.spec.layout.log(shard.number)) as log:
            shard.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        shard.started = time.monotonic()

    def _save(self, state: str) -> None:
        self.me.save(
            self.spec.layout.supervisor,
            state=state,
            topology=self.spec.topology,
            shards=[
                {
                    "shard": shard.number,
                    "pid": shard.process.pid if shard.process else None,
                    "restarts": shard.restarts,
                    "exit_code": shard.exit_code,
                }
                for shard in self.shards
            ],
        )


if __name__ == "__main__":
    os.umask(UMASK)
    sys.exit(Supervisor(RunSpec.load(Path(sys.argv[1]))).run())
