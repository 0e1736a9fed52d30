"""One shard: a process with one Bytewax worker. ``python -m flows.runtime.shard SPEC NUMBER``.

Stopping is draining. SIGTERM and SIGINT set an event; each source sees it at its next poll and ends where it
stands; Bytewax then closes the epoch: (1) every stage is snapshotted, (2) every sink is flushed and snapshotted,
(3) the recovery store commits, and the process exits 0. A crash between any two of these leaves the former epoch's
snapshot, and the sinks know from what they find at the other side what was already written.

Exit codes: 0 drained or ended, 1 failed (the supervisor tries again), 2 cannot work as configured (it does not).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from flows.compiler import compile_topology
from flows.meter import Meter
from flows.resolve import resolve
from flows.runtime.spec import RunSpec
from flows.topology import load
from operators.errors import MevflowError, StateError, UsageError

_PR_SET_PDEATHSIG = 1


def run(spec: RunSpec, shard: int) -> None:
    """Run one shard until its sources end or a signal drains it."""
    from bytewax.recovery import RecoveryConfig, init_db_dir
    from bytewax.run import cli_main

    topology = resolve(load(Path(spec.file)), spec.topology)
    run_id = ""
    if spec.replay is not None:
        from flows.replay import bounded

        topology = bounded(topology, spec.replay, spec.layout)
        run_id = spec.replay.run_id
    drain = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: drain.set())
    identity = {"topology": spec.topology, "shard": shard, "shards": spec.shards, "run_id": run_id}
    meter = Meter(spec.layout.status(shard), identity)
    meter.write()
    flow = compile_topology(topology, meter=meter, drain=drain, run_id=run_id, shard=shard, shards=spec.shards)
    # What is loaded by now stays: the collector need not walk it again in the middle of the stream.
    gc.collect()
    gc.freeze()
    recovery = None
    if spec.replay is None:
        directory = spec.layout.recovery(shard)
        if not any(directory.glob("*.sqlite3")):
            directory.mkdir(parents=True, exist_ok=True)
            init_db_dir(directory, 1)
        recovery = RecoveryConfig(directory)
    try:
        cli_main(flow, epoch_interval=timedelta(seconds=spec.epoch_s), recovery_config=recovery)
    except BaseException as error:
        cause = _root(error)
        meter.state = "failed"
        meter.write(error=str(cause))
        if cause is error:
            raise
        raise cause from None
    meter.state = "drained" if drain.is_set() else "ended"
    meter.write()


def _root(error: BaseException) -> BaseException:
    """The exception of ours below the ones that Bytewax wraps around it; without one, ``error`` with its causes."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MevflowError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error


def main(argv: list[str]) -> int:
    """Entry point of the shard process."""
    # A shard never outlives its supervisor: if that dies, the shard drains.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    spec = RunSpec.load(Path(argv[0]))
    try:
        run(spec, int(argv[1]))
    except (UsageError, StateError) as error:
        print(f"mevflow: {error}", file=sys.stderr, flush=True)
        return 2
    except MevflowError as error:
        print(f"mevflow: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # no interpreter teardown: native client threads may still run
