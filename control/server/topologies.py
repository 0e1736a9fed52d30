"""The calls about topologies: deploy, drain, change, replay, and how they are. What blocks runs in a thread."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mevflow.control.auth.identity import Identity
from mevflow.control.refusal import Refused, invalid
from mevflow.control.server.service import Service
from mevflow.flows.runtime.claim import LockClaim
from mevflow.flows.runtime.spec import RunSpec
from mevflow.operators.errors import CheckFailedError, MevflowError, StateError, UnreachableError, UsageError
from mevflow.processes.private import open_private
from mevflow.v1 import control_service_pb2 as pb

P = ParamSpec("P")
T = TypeVar("T")

_DRAIN_S = 60.0
_MAX_YAML = 1 << 18
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}\Z")
_CODES: tuple[tuple[type[MevflowError], str, str], ...] = (
    (StateError, "FAILED_PRECONDITION", "STATE_DOES_NOT_FIT"),
    (UnreachableError, "UNAVAILABLE", "UNREACHABLE"),
    (CheckFailedError, "FAILED_PRECONDITION", "CHECK_FAILED"),
    (UsageError, "FAILED_PRECONDITION", "NOT_POSSIBLE"),
    (MevflowError, "INTERNAL", "FAILED"),
)


def refusal_of(error: MevflowError) -> Refused:
    """An error of the runtime in the terms of a call."""
    code, reason = next((code, reason) for kind, code, reason in _CODES if isinstance(error, kind))
    hint = {"hint": error.hint} if error.hint else {}
    where = [("TOPOLOGY", error.where, error.message)] if code == "FAILED_PRECONDITION" else []
    message = f"{error.where}: {error.message}" if error.where else error.message
    return Refused(code, reason, message, metadata=hint, preconditions=where)


async def _thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run something that blocks; its MevflowError becomes Refused."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except MevflowError as error:
        raise refusal_of(error) from error


class TopologyCalls:
    """The part of the handlers that is about topologies."""

    def __init__(self, service: Service) -> None:
        self._file, self._var, self._roll = service.settings.file, service.settings.var, service.roll
        self._checks = service.checks
        self._deploying = asyncio.Lock()  # one change of what is deployed at a time

    def _names(self) -> list[str]:
        from mevflow.flows.spec.topology import load

        return list(load(self._file).topologies)

    def _file_of(self, topology: str) -> Path:
        """The topology file that a topology was deployed from, or the service's own."""
        deployed = self._roll.deployed.get(topology)
        return Path(deployed.file) if deployed else self._file

    async def list_topologies(self, request: pb.ListTopologiesRequest, identity: Identity) -> pb.ListTopologiesReply:
        from mevflow.flows.runtime.status import status
        from mevflow.flows.spec.topology import load

        def rows() -> list[pb.TopologySummary]:
            return [
                pb.TopologySummary(
                    name=name,
                    summary=topology.summary,
                    shards=topology.shards,
                    state=status(name, self._var)["state"],
                    nodes=[f"{node.name}={node.use}" for node in topology.nodes.values()],
                )
                for name, topology in load(self._file).topologies.items()
            ]

        return pb.ListTopologiesReply(topologies=await _thread(rows))

    async def validate_topology(
        self, request: pb.ValidateTopologyRequest, identity: Identity
    ) -> pb.ValidateTopologyReply:
        if len(request.yaml.encode()) > _MAX_YAML:
            raise invalid("yaml", f"has at most {_MAX_YAML:,} bytes")
        file = Path("topologies.yaml") if request.yaml else self._file
        try:
            problems = await self._checks.inspect(identity.name, file, list(request.names), request.yaml)
        except MevflowError as error:
            raise refusal_of(error) from error
        rows = [
            pb.TopologyProblem(line=p.line or 0, key=p.key, message=p.message, suggestion=p.suggestion)
            for p in sorted(set(problems), key=lambda p: (p.line, p.key))
        ]
        return pb.ValidateTopologyReply(valid=not rows, problems=rows)

    async def topology_status(self, request: pb.TopologyStatusRequest, identity: Identity) -> pb.TopologyStatusReply:
        _name(request.name)
        found = await _thread(self._status, request.name)
        heard = {row.shard: row for row in self._roll.status(request.name)}
        for row in found.shards:
            if row.shard in heard:
                row.control.CopyFrom(heard[row.shard])
                row.lag = heard[row.shard].lag
        return found

    def _status(self, name: str) -> pb.TopologyStatusReply:
        from mevflow.flows.runtime.layout import Layout
        from mevflow.flows.runtime.status import status

        now, layout = status(name, self._var), Layout.live(self._var, name)
        spec = RunSpec.load(layout.spec) if layout.spec.exists() else None
        reply = pb.TopologyStatusReply(name=name, state=now["state"])
        for shard in now["shards"]:
            stores = spec.recovery(shard["shard"]).glob("*.sqlite3*") if spec is not None else ()
            saved = [path.stat().st_mtime for path in stores]
            reply.shards.add(
                shard=shard["shard"],
                state=shard.get("state", ""),
                pid=shard.get("pid") or 0,
                restarts=shard.get("restarts", 0),
                rows=shard.get("rows", 0),
                rows_per_s=shard.get("rows_per_s", 0.0),
                caught_up=bool(shard.get("caught_up")),
                lag=-1,
                snapshot_age_s=time.time() - max(saved) if saved else -1.0,
            )
        return reply

    async def deploy(self, request: pb.DeployRequest, identity: Identity) -> pb.TopologyReply:
        _name(request.name)
        began = time.monotonic()
        async with self._deploying:
            shards = await _thread(self._deploy, request.name, request.shards, request.fresh)
        await asyncio.to_thread(self._roll.look)
        return pb.TopologyReply(
            name=request.name, state="running", shards=shards, seconds=round(time.monotonic() - began, 3)
        )

    def _deploy(self, name: str, shards: int, fresh: bool) -> int:
        from mevflow.flows.runtime import deploy

        spec = deploy.prepare(self._file, name, self._var, shards=shards or None, fresh=fresh)
        deploy.start(spec)
        return spec.shards

    async def stop(self, request: pb.StopRequest, identity: Identity) -> pb.TopologyReply:
        from mevflow.flows.runtime import deploy

        _name(request.name)
        limit = request.timeout_ms / 1000 if request.timeout_ms else _DRAIN_S
        async with self._deploying:
            found = await _thread(deploy.stop, request.name, self._var, limit)
        await asyncio.to_thread(self._roll.look)
        return pb.TopologyReply(name=request.name, state=found["state"], seconds=found["seconds"])

    async def rescale(self, request: pb.RescaleRequest, identity: Identity) -> pb.TopologyReply:
        """Run with another number of shards. Refused before anything stops when state does not fit."""
        from mevflow.flows.runtime import change, deploy

        _name(request.name)
        if not 1 <= request.shards <= 256:
            raise invalid("shards", "is between 1 and 256")
        began = time.monotonic()
        async with self._deploying:
            if request.fresh:
                if (await _thread(deploy.status, request.name, self._var))["state"] == "running":
                    await _thread(deploy.stop, request.name, self._var, _DRAIN_S)
                shards = await _thread(self._deploy, request.name, request.shards, True)
            else:
                shards = (await _thread(change.rescale, request.name, self._var, request.shards)).shards
        await asyncio.to_thread(self._roll.look)
        return pb.TopologyReply(
            name=request.name, state="running", shards=shards, seconds=round(time.monotonic() - began, 3)
        )

    async def plan_topology(self, request: pb.PlanTopologyRequest, identity: Identity) -> pb.PlanTopologyReply:
        """Of an upgrade or a rollback: what differs, and why it would be refused."""
        _name(request.name)
        async with self._deploying:
            return await _thread(self._plan, request.name, request.rollback)

    def _plan(self, name: str, back: bool) -> pb.PlanTopologyReply:
        from mevflow.flows.runtime import change

        file = self._file_of(name)
        plan = change.plan_rollback(name, self._var) if back else change.plan_upgrade(file, name, self._var)
        reply = pb.PlanTopologyReply(name=name, plan=plan.id, shards=plan.wanted.shards)
        for each in plan.differences():
            reply.differences.add(
                node=each.node, what=each.what, setting=each.setting, before=each.before, after=each.after
            )
        try:
            reply.forgets.extend(change.forgets(plan))
        except (StateError, UsageError) as error:
            reply.refusal = str(error)
        return reply

    async def upgrade_topology(self, request: pb.ChangeTopologyRequest, identity: Identity) -> pb.TopologyReply:
        """Run as the file has it now. Refused before anything stops when state does not fit."""
        from mevflow.flows.runtime import change

        file = self._file_of(request.name)
        return await self._change(request, lambda: change.upgrade(file, request.name, self._var, planned=request.plan))

    async def rollback_topology(self, request: pb.ChangeTopologyRequest, identity: Identity) -> pb.TopologyReply:
        """Run as before the last change, from where it stands now."""
        from mevflow.flows.runtime import change

        return await self._change(request, lambda: change.rollback(request.name, self._var, planned=request.plan))

    async def _change(self, request: pb.ChangeTopologyRequest, make: Callable[[], RunSpec]) -> pb.TopologyReply:
        _name(request.name)
        began = time.monotonic()
        async with self._deploying:
            spec = await _thread(make)
        await asyncio.to_thread(self._roll.look)
        return pb.TopologyReply(
            name=request.name, state="running", shards=spec.shards, seconds=round(time.monotonic() - began, 3)
        )

    async def replay(self, request: pb.ReplayRequest, identity: Identity) -> AsyncIterator[pb.ReplayEvent]:
        from mevflow.flows.replay import plan as replay

        _name(request.name)
        if not _RUN_ID.fullmatch(request.run_id):
            raise invalid("run_id", "letters, digits, dots, - and _, at most 64")
        window = {
            field: getattr(request, field) if request.HasField(field) else None
            for field in ("from_us", "to_us", "warmup_us")
        }
        plan = await _thread(
            replay.plan,
            self._file,
            request.name,
            self._var,
            request.run_id,
            to_clickhouse=not request.files_only,
            **window,
        )
        yield pb.ReplayEvent(messages=plan.messages, finished=request.dry_run)
        if request.dry_run:
            return
        plan.check()
        with ExitStack() as held:
            claim = await _thread(held.enter_context, replay.exclusive(plan.spec))
            try:
                async for event in _follow(plan, claim):
                    yield event
            finally:
                await asyncio.to_thread(held.close)


async def _follow(plan: Any, claim: LockClaim) -> AsyncIterator[pb.ReplayEvent]:
    """Run a planned replay in a shard process of its own; an event whenever it has moved."""
    from mevflow.flows.replay.plan import results
    from mevflow.flows.runtime.status import shard_status
    from mevflow.processes.environment import environment

    layout, began, done = plan.spec.layout, time.monotonic(), -1
    with open_private(layout.log(0), "wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mevflow.flows.runtime.shard",
            str(layout.spec),
            "0",
            str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(plan.spec.file).parent,
            env=environment(),
            pass_fds=(claim.fd,),
        )
    ended = asyncio.create_task(process.wait())
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=0.2)
            nodes = (await asyncio.to_thread(shard_status, layout, 0)).get("nodes", {})
            now = int(sum(nodes[name]["rows_out"] for name in plan.sources if name in nodes))
            if now != done:
                done = now
                yield pb.ReplayEvent(done=done, messages=plan.messages, seconds=time.monotonic() - began)
        if process.returncode:
            tail = layout.log(0).read_text(errors="replace")[-2000:]
            raise Refused("INTERNAL", "REPLAY_FAILED", f"the replay failed:\n{tail}")
    finally:
        if not ended.done():
            process.terminate()
            await ended
    rows = await asyncio.to_thread(results, layout)
    yield pb.ReplayEvent(
        done=plan.messages,
        messages=plan.messages,
        finished=True,
        seconds=time.monotonic() - began,
        results=[pb.ReplayResult(**row) for row in rows],
    )


def _name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid("name", "is the name of a topology")
