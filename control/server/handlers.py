"""The calls of ``mevflow.v1.Control``: plain async methods on requests, whoever carries them (gRPC, the gateway).

Each takes ``(request, identity)``; identity and role have been checked. What is refused is raised as Refused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from mevflow.control.auth.identity import Identity
from mevflow.control.commands.diff import changes
from mevflow.control.commands.draft import MAX_PAYLOAD, MAX_VALUES, STATE_KINDS, Draft, values_in
from mevflow.control.commands.rehearsal import Given
from mevflow.control.commands.scope import scoped
from mevflow.control.refusal import Refused, invalid
from mevflow.control.server.service import Service
from mevflow.control.server.topologies import TopologyCalls, refusal_of
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.spec.topology import did_you_mean
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import stage_in
from mevflow.operators.switch import Off
from mevflow.processes.private import private_folder, write_private
from mevflow.v1 import control_service_pb2 as pb
from mevflow.v1.control_pb2 import ControlAck

_SHARD_KINDS = ("pause", "resume", "snapshot", "log_level")
_HISTORY = 50
_MAX_DEPTH = 32
_KILL_WAIT_MS = 2_000


class Handlers(TopologyCalls):
    """Everything that the service can be asked."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._service = service

    # Policies and models

    async def validate(self, request: pb.PolicyRequest, identity: Identity) -> pb.ValidateReply:
        kind = _policy_kind(request.kind)
        _json("payload", request.payload)
        return await self._validate(request, kind, identity)

    async def _validate(self, request: pb.PolicyRequest, kind: str, identity: Identity) -> pb.ValidateReply:
        models = self._service.settings.var / "models"
        command = Given(kind, scoped(kind, request.target, request.payload), request.payload)
        reply = pb.ValidateReply(valid=True)
        for name in await self._topologies(request.topology, request.target):
            states = self._service.ledger.states(name)
            in_force = [Given(c.kind, c.target, c.payload) for c in states]
            try:
                verdicts = await self._service.checks.rehearse(
                    identity.name, self._file_of(name), name, command, in_force, models
                )
            except MevflowError as error:
                raise refusal_of(error) from error
            for verdict in verdicts:
                reply.stages.append(f"{name}/{verdict.node}")
                if verdict.reason:
                    reply.valid = False
                    reply.violations.add(
                        field="payload", reason=verdict.reason, description=f"{name}/{verdict.node}: {verdict.detail}"
                    )
        return reply

    async def plan(self, request: pb.PolicyRequest, identity: Identity) -> pb.PlanReply:
        kind = _policy_kind(request.kind)
        after = _json("payload", request.payload)
        validation = await self._validate(request, kind, identity)
        target = scoped(kind, request.target, request.payload)
        held = self._service.ledger.in_force(request.topology, kind, target)
        before = _known(held.current.command.payload) if held.current and held.current.command.payload else None
        draft = Draft("Plan", kind, request.topology, target, request.payload, identity, pb.Delivery())
        draft.check()
        return pb.PlanReply(
            version=held.version,
            changes=changes(before, after),
            affected=self._service.issuer.draw(draft, held).reply().answers,
            validation=validation,
        )

    async def apply(self, request: pb.ApplyRequest, identity: Identity) -> pb.CommandReply:
        return await self._policy("Apply", "policy", request, identity)

    async def swap_model(self, request: pb.SwapModelRequest, identity: Identity) -> pb.CommandReply:
        return await self._policy("SwapModel", "model", request, identity)

    async def _policy(
        self, method: str, kind: str, request: pb.ApplyRequest | pb.SwapModelRequest, identity: Identity
    ) -> pb.CommandReply:
        _json("payload", request.payload)
        await self._topologies(request.topology, request.target)
        target = scoped(kind, request.target, request.payload)
        delivery = await self._passed(kind, request.topology, target, request.payload, request.delivery)
        draft = Draft(method, kind, request.topology, target, request.payload, identity, delivery)
        if request.delivery.rollback:
            held = self._service.ledger.in_force(request.topology, kind, target)
            if self._service.issuer.former_good(held, held.version + 1) is None:
                raise Refused(
                    "FAILED_PRECONDITION",
                    "NOTHING_TO_ROLL_BACK_TO",
                    "no command is known to which a refusal could be rolled back; apply the present state first",
                    preconditions=[("FORMER_VERSION", f"{request.topology}/{request.target}", "there is none")],
                )
        return await self._service.issuer.issue(draft)

    async def rollback(self, request: pb.RollbackRequest, identity: Identity) -> pb.CommandReply:
        kind = _policy_kind(request.kind)
        held = self._service.ledger.in_force(request.topology, kind, request.target)
        if held.current is None:
            raise _no_command(request.topology, kind, request.target)
        if request.to_version:
            found = [e for e in held.history if e.command.version == request.to_version and e.won]
            former = found[0] if found else None
        else:
            former = self._service.issuer.former_good(held, held.version)
        if former is None:
            known = ", ".join(str(each.command.version) for each in held.history if each.won)
            raise Refused(
                "FAILED_PRECONDITION",
                "NO_SUCH_VERSION",
                f"there is no version to roll back to; known: {known}",
                preconditions=[("FORMER_VERSION", f"{request.topology}/{request.target}", f"known: {known}")],
            )
        payload = former.command.payload
        draft = Draft(
            method="Rollback",
            kind=kind,
            topology=request.topology,
            target=request.target,
            payload=payload,
            identity=identity,
            delivery=await self._passed(kind, request.topology, request.target, payload, request.delivery, before=True),
            rolled_back_from=held.current.command.command_id,
        )
        return await self._service.issuer.issue(draft)

    async def _passed(
        self, kind: str, topology: str, target: str, payload: bytes, delivery: pb.Delivery, before: bool = False
    ) -> pb.Delivery:
        """How a command is sent; raises Refused for a model that may not get into force. ``before``: it was."""
        if kind != "model":
            return delivery
        # A candidate joins one chain's stage, and is promoted by the stage's name.
        commands = [
            entry.command
            for held in self._service.ledger.keys.values()
            for entry in held.history
            if entry.command.kind == kind and entry.won and stage_in(entry.command.target) == stage_in(target)
        ]
        commands = [one for one in commands if not topology or one.topology in ("", topology)]
        commands.sort(key=lambda one: one.issued_at_us, reverse=True)
        made = pb.Delivery()
        made.CopyFrom(delivery)
        made.reason = await asyncio.to_thread(
            self._service.model_gate.passed,
            payload,
            [one.payload for one in commands],
            delivery.force,
            delivery.reason,
            before,
        )
        return made

    # The kill switch

    async def kill(self, request: pb.KillRequest, identity: Identity) -> pb.CommandReply:
        _scope(request.scope)
        delivery = pb.Delivery(
            idempotency_key=request.idempotency_key, wait_ms=request.wait_ms or _KILL_WAIT_MS, reason=request.reason
        )
        await self._spelt_right(request.topology)
        draft = Draft("Kill", "kill", request.topology, request.scope, b"", identity, delivery, insist=True)
        try:
            return await self._service.issuer.issue(draft)
        except Refused as refused:
            if refused.code == "UNAVAILABLE" and not request.scope:
                self._kill_here(request.topology, request.reason, refused)
            raise

    async def _spelt_right(self, topology: str) -> None:
        """A kill of a topology that is not there would stop nothing. Nothing is read for one that is known."""
        if topology and not self._service.roll.knows(topology):
            await self._topologies(topology, "")

    def _kill_here(self, topology: str, reason: str, refused: Refused) -> None:
        """Without a broker: the kill file, which stops the shards of this host."""
        path = kill_file(self._service.settings.var, topology)
        private_folder(path.parent)
        write_private(path, f"{reason}\n".encode())
        refused.metadata["kill_file"] = str(path)
        refused.message += (
            f"; wrote {path}, which stops the shards of the service's host until it is removed and released"
        )

    async def release(self, request: pb.ReleaseRequest, identity: Identity) -> pb.CommandReply:
        _scope(request.scope)
        if not request.reason.strip():
            raise invalid("reason", "a release needs one", "REASON_REQUIRED")
        delivery = pb.Delivery(
            idempotency_key=request.idempotency_key, wait_ms=request.wait_ms, reason=request.reason, ack=pb.Delivery.ALL
        )
        await self._spelt_right(request.topology)
        draft = Draft("Release", "release", request.topology, request.scope, b"", identity, delivery)
        return await self._service.issuer.issue(draft)

    async def command(self, request: pb.ShardCommandRequest, identity: Identity) -> pb.CommandReply:
        if request.kind not in _SHARD_KINDS:
            raise invalid("kind", f"is one of {', '.join(_SHARD_KINDS)}")
        if (request.kind == "log_level") != bool(request.level):
            raise invalid("level", "goes with log_level, and log_level with it")
        payload = json.dumps({"level": request.level}).encode() if request.level else b""
        await self._topologies(request.topology, "")
        draft = Draft("Command", request.kind, request.topology, "", payload, identity, request.delivery)
        return await self._service.issuer.issue(draft)

    # What there is

    async def status(self, request: pb.StatusRequest, identity: Identity) -> pb.StatusReply:
        service = self._service
        reply = pb.StatusReply(
            service_id=service.service_id,
            started_at_us=service.started_at_us,
            ready=service.ready,
            event_offset=service.events.next,
        )
        if request.command_id:
            entry = service.ledger.entry(request.command_id)
            if entry is None:
                raise Refused("NOT_FOUND", "NO_SUCH_COMMAND", f"no command {request.command_id!r} is known here")
            reply.commands.append(entry.reply())
            return reply
        for held in service.ledger.keys.values():
            if held.current is None:
                continue
            command = held.current.command
            if request.topology and command.topology not in ("", request.topology):
                continue
            reply.commands.append(held.current.reply(payload=command.kind not in ("model",)))
            if command.kind == "kill":
                reply.killed.append(f"{command.topology or '*'}/{command.target}")
        reply.shards.extend(service.roll.status(request.topology))
        return reply

    async def history(self, request: pb.HistoryRequest, identity: Identity) -> pb.HistoryReply:
        rows = [
            entry
            for held in self._service.ledger.keys.values()
            for entry in held.history
            if (not request.topology or entry.command.topology == request.topology)
            and (not request.target or entry.command.target == request.target)
            and (not request.kind or entry.command.kind == request.kind)
        ]
        rows.sort(key=lambda entry: entry.command.issued_at_us, reverse=True)
        return pb.HistoryReply(commands=[entry.reply() for entry in rows[: request.limit or _HISTORY]])

    async def watch(self, request: pb.WatchRequest, identity: Identity) -> AsyncIterator[pb.Event]:
        start = request.from_offset if request.HasField("from_offset") else None
        async for offset, record in self._service.events.follow(start):
            if not request.topology or record.topology in ("", request.topology):
                yield pb.Event(offset=offset, record=record)

    async def watch_acks(self, request: pb.WatchAcksRequest, identity: Identity) -> AsyncIterator[pb.AckEvent]:
        """Every partition in order; the caller resumes by naming the next offset that it wants of each."""
        service = self._service
        at = {partition: feed.next for partition, feed in service.acks.items()}
        if request.from_positions:
            at = {place.partition: place.offset for place in request.from_positions}
        elif request.command_id:
            at = {}
        while True:
            more = service.new_acks
            for partition, feed in sorted(service.acks.items()):
                for offset, ack in feed.since(at.get(partition, 0)):
                    at[partition] = offset + 1
                    if _wanted(ack, request):
                        yield pb.AckEvent(position=pb.AckPosition(partition=partition, offset=offset), ack=ack)
            if any(feed.ended for feed in service.acks.values()):
                return
            await more.wait()

    async def _topologies(self, topology: str, target: str) -> list[str]:
        """The topologies that a command is for, that are known here. Raises Refused for one that nobody knows."""
        roll = self._service.roll
        live = {name for name, _ in roll.shards()}
        if not topology:
            return [name for name in sorted(live) if await asyncio.to_thread(roll.stages, name) is not None]
        stages = await asyncio.to_thread(roll.stages, topology)
        if stages is None:
            if topology in live:
                return []
            known = sorted(live | set(await asyncio.to_thread(self._names)))
            raise Refused(
                "NOT_FOUND",
                "NO_SUCH_TOPOLOGY",
                f"no topology {topology!r}; {did_you_mean(topology, known) or 'known: ' + ', '.join(known)}",
                fields=[("topology", "is in the topology file, deployed, or heard")],
            )
        if target and not any(stage_in(target) in (node, use) for node, use in stages.items()):
            names = sorted({*stages, *stages.values()})
            raise Refused(
                "NOT_FOUND",
                "NO_SUCH_TARGET",
                f"no stage of {topology} is or uses {target!r}; {did_you_mean(target, names) or ', '.join(names)}",
                fields=[("target", f"one of {', '.join(names)}")],
            )
        return [topology]


def kill_file(var: Path, topology: str) -> Path:
    """The file whose presence engages the kill switch of one topology's shards on this host, or of all."""
    return (Layout.live(var, topology).root if topology else var.absolute()) / "KILL"


def _policy_kind(kind: str) -> str:
    if kind not in ("", *STATE_KINDS):
        raise invalid("kind", f"is one of {', '.join(STATE_KINDS)}")
    return kind or "policy"


def _json(field: str, payload: bytes) -> object:
    """A payload as plain values, read as the gate of models reads it; size, depth and number of values are bounded."""
    if len(payload) > MAX_PAYLOAD:
        raise invalid(field, f"{len(payload):,} bytes; at most {MAX_PAYLOAD:,}", "PAYLOAD_TOO_LARGE")
    if values_in(payload) > MAX_VALUES:
        raise invalid(field, f"has more than {MAX_VALUES:,} values", "PAYLOAD_TOO_LARGE")
    try:
        value: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(field, f"is not JSON: {error}", "MALFORMED_JSON") from None
    except RecursionError:
        raise invalid(field, "is nested too deep", "MALFORMED_JSON") from None
    left = [(value, 1)]
    while left:
        each, depth = left.pop()
        if depth > _MAX_DEPTH:
            raise invalid(field, f"is nested more than {_MAX_DEPTH} levels deep", "MALFORMED_JSON")
        if isinstance(each, dict | list):
            left += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    return value


def _known(payload: bytes) -> object:
    """The payload of a command from the log, which anyone may have written; None when it is not JSON."""
    try:
        return _json("", payload)
    except Refused:
        return None


def _scope(scope: str) -> None:
    try:
        Off.of([scope])
    except ValueError as error:
        raise invalid("scope", str(error)) from None


def _wanted(ack: ControlAck, request: pb.WatchAcksRequest) -> bool:
    return request.command_id in ("", ack.command_id) and request.topology in ("", ack.topology)


def _no_command(topology: str, kind: str, target: str) -> Refused:
    what = f"{topology or '*'}/{kind}/{target}"
    return Refused("NOT_FOUND", "NO_COMMAND", f"nothing was ever set for {what}")
