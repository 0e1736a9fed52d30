"""One shard: a process with one Bytewax worker. ``python -m mevflow.flows.runtime.shard SPEC NUMBER [SUPERVISOR]``.

Stopping is draining. SIGTERM and SIGINT set an event; each source sees it at its next poll and ends where it
stands; Bytewax then closes the epoch: (1) every stage is snapshotted, (2) every sink is flushed and snapshotted,
(3) the recovery store commits, and the process exits 0. A crash between any two of these leaves the former epoch's
snapshot, and the sinks know from what they find at the other side what was already written. Fail points
(:mod:`mevflow.processes.fail_points`): ``read ahead`` where a source has more than it gives, ``source snapshot`` and
``stage snapshot`` in (1), ``sink given`` in (2).

Exit codes: 0 drained or ended, 1 failed (the supervisor tries again), 2 cannot work as configured (it does not).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec

from mevflow.flows.engine.compiler import compile_topology
from mevflow.flows.engine.meter import Meter
from mevflow.flows.engine.traces import DecisionTraces
from mevflow.flows.runtime.claim import HeldError, LockClaim
from mevflow.flows.runtime.disk import wait_for_room
from mevflow.flows.runtime.lease import Lease, Wakefulness
from mevflow.flows.runtime.saved_state import begun, seeded
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.window import bounded
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.resolve import ResolvedTopology, divided, resolve
from mevflow.flows.spec.topology import TopologyFile
from mevflow.flows.steering.steering import ShardFacts, Steering
from mevflow.metrics.endpoint import Endpoint
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.stage import Stage, StageContext
from mevflow.processes.private import UMASK
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source

_PR_SET_PDEATHSIG = 1


def run(spec: RunSpec, shard: int) -> None:
    """Run one shard until its sources end or a signal drains it."""
    file = spec.topology_file()
    topology = resolve(file, spec.topology)
    run_id = ""
    if spec.replay is not None:
        topology = bounded(topology, spec.replay, spec.layout)
        run_id = spec.replay.run_id
    topology = divided(topology, shard, spec.shards)
    drain = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: drain.set())
    identity = {
        "topology": spec.topology,
        "deployment": spec.deployment,
        "shard": shard,
        "shards": spec.shards,
        "run_id": run_id,
    }
    meter = Meter(spec.layout.status(shard), identity)
    meter.write()
    steering = endpoint = None
    leases: list[Lease] = []
    try:
        endpoint = _serve(spec, shard, meter)
        meter.traces = _traces(spec, topology, shard)
        leases = _leases(spec, meter)
        steering = steer(file, topology, spec, shard, drain, meter)
        if steering is not None:
            meter.tellers.append(steering.tell)
        _run(topology, spec, shard, run_id, drain, meter, steering)
    except BaseException as error:
        cause = _root(error)
        meter.end("failed", error=_said(cause))
        if cause is error:
            raise
        raise cause from None
    finally:
        if steering is not None:
            steering.close()
        for lease in leases:
            lease.leave()
        if meter.traces is not None:
            meter.traces.close()
    meter.end("drained" if drain.is_set() else "ended")
    if endpoint is not None:  # of a shard that failed it stays in the list: it is down
        endpoint.close()


def _serve(spec: RunSpec, shard: int, meter: Meter) -> Endpoint | None:
    """``/metrics`` of this shard, on a port of its own."""
    if spec.metrics is None or spec.replay is not None:
        return None
    serving = msgspec.structs.replace(spec.metrics, port=0)
    endpoint = serving.begin("mevflow-shard", {"topology": spec.topology, "shard": str(shard)}, [meter.tell])
    meter.identify(metrics=endpoint.address)
    return endpoint


def _traces(spec: RunSpec, topology: ResolvedTopology, shard: int) -> DecisionTraces | None:
    """Where a share of this shard's decisions is told as traces; a replay tells none."""
    if spec.tracing is None or spec.replay is not None:
        return None
    resource = {
        "service.name": "mevflow-shard",
        "service.instance.id": f"{spec.topology}/{shard}",
        "mevflow.deployment": spec.deployment,
    }
    sources = {node.name for node in topology.nodes if issubclass(node.kind, Source)}
    return DecisionTraces(spec.tracing.begin(resource), spec.tracing.sample, sources.__contains__)


def _leases(spec: RunSpec, meter: Meter) -> list[Lease]:
    """Hold the deployment's claims for as long as the shard lives. Once another has one, no row more is written."""

    def fenced(taker: str) -> None:
        print(f"mevflow: {spec.topology} was taken over by {taker}", file=sys.stderr, flush=True)
        meter.state = "fenced"
        meter.write(error=taker)
        os._exit(2)

    return [] if spec.replay is not None else [Lease(spec.claims, each, fenced) for each in spec.held]


def steer(
    file: TopologyFile, topology: ResolvedTopology, spec: RunSpec, shard: int, drain: threading.Event, meter: Meter
) -> Steering | None:
    """The control side of a live shard; None for a replay, and where the topology file names no broker for it."""
    settings = control_settings(file, spec.topology)
    if spec.replay is not None or not settings.steers:
        return None
    layout = spec.layout
    facts = ShardFacts(
        topology=spec.topology,
        shard=shard,
        shards=spec.shards,
        run_id=uuid.uuid4().hex,
        shape=spec.shape,
        epoch_s=spec.epoch_s,
        sources=tuple(node.name for node in topology.nodes if issubclass(node.kind, Source)),
        stages={node.name: node.kind.use for node in topology.nodes if issubclass(node.kind, Stage)},
        latch_file=layout.latch(shard),
        kill_files=(Path(spec.var) / "KILL", layout.root / "KILL"),
        models=Path(spec.var) / "models",
    )
    return Steering(facts, settings, drain, meter.progress)


def _run(
    topology: ResolvedTopology,
    spec: RunSpec,
    shard: int,
    run_id: str,
    drain: threading.Event,
    meter: Meter,
    steering: Steering | None,
) -> None:
    from bytewax.recovery import RecoveryConfig, init_db_dir
    from bytewax.run import cli_main

    recovery, room = None, None
    seeds: dict[str, bytes] = {}
    held = spec.held if spec.replay is None else ()
    awake = Wakefulness(spec.claims, held) if held else None
    if spec.replay is None:
        directory = spec.recovery(shard)
        if not any(directory.glob("*.sqlite3")):
            directory.mkdir(parents=True, exist_ok=True)
            init_db_dir(directory, 1)
        first = partial(_beginnings, topology, StageContext(topology.name, "", run_id, shard, spec.shards))
        seeds = begun(directory, first) | seeded(directory)
        recovery, room = RecoveryConfig(directory), partial(wait_for_room, directory)
    if steering is not None:
        meter.identify(control_run=steering.run_id)
        steering.join()
    flow = compile_topology(
        topology,
        meter=meter,
        drain=drain,
        run_id=run_id,
        shard=shard,
        shards=spec.shards,
        epoch=spec.epoch,
        steering=steering,
        recorded=spec.replay.commands if spec.replay else (),
        before_snapshot=room,
        seeds=seeds,
        before_poll=awake,
        at_end=spec.layout.states if spec.replay is not None else None,
    )
    # What is loaded by now stays: the collector need not walk it again in the middle of the stream.
    gc.collect()
    gc.freeze()
    gc.callbacks.append(_keep)
    cli_main(flow, epoch_interval=timedelta(seconds=spec.epoch_s), recovery_config=recovery)


def _beginnings(topology: ResolvedTopology, context: StageContext) -> dict[str, bytes]:
    """The states of sinks that have written nothing yet, by node."""
    sinks = [
        (node.name, node.kind(node.settings, replace(context, node=node.name)))
        for node in topology.nodes
        if issubclass(node.kind, Sink)
    ]
    return {name: state for name, sink in sinks if (state := sink.beginning())}


def _keep(phase: str, info: dict[str, int]) -> None:
    """What outlives a full collection is not walked again: it is freed by its count, and a walk stops every thread.

    A cycle that becomes garbage only after that stays: stages' state has none.
    """
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def _root(error: BaseException) -> BaseException:
    """The exception of ours below the ones that Bytewax wraps around it; without one, ``error`` with its causes."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MevflowError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error


def _said(error: BaseException) -> str:
    """What to tell of a failure: ours as it is, of others the innermost cause with its type."""
    if isinstance(error, MevflowError):
        return str(error)
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"


def main(argv: list[str]) -> int:
    """Entry point of the shard process. The third argument is the pid of the supervisor, if it has one."""
    # A shard never outlives its supervisor: if that dies, the shard drains.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.umask(UMASK)
    if len(argv) > 2 and os.getppid() != int(argv[2]):
        print("mevflow: the supervisor ended while the shard was being loaded", file=sys.stderr, flush=True)
        return 0
    spec, shard = RunSpec.load(Path(argv[0])), int(argv[1])
    spec.reach()
    what = f"shard {shard} of {spec.topology} is run"
    try:
        with LockClaim.take(spec.layout.shard_claim(shard), "shard", what, f"mevflow stop {spec.topology}"):
            run(spec, shard)
    except HeldError as error:
        print(f"mevflow: {error}", file=sys.stderr, flush=True)
        return 1
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
