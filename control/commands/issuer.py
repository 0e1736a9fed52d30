"""From a draft to an outcome: a version, the log, the answers, and the way back when someone refuses.

1. The version is the highest of the key plus one; ``expected_version`` is compared with what is in force.
2. An audit record (ISSUED) with the whole command is written; then the command itself. A kill switch does not wait for
   the first. A service that dies between the two has promised nothing: the same call with the same idempotency key
   sends the same command, with the same version.
3. The record comes back through the log. Of two commands with one version the lower offset wins, here and in every
   shard; the other's caller gets ABORTED, and the winner is written once more, so that compaction keeps it.
4. Answers are awaited as the ack policy says, then :class:`Entry.outcome` is the answer; what comes later counts too.
5. What nobody took is not left as the last record of its key: the former state is set again under a higher version.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict

from mevflow.control.commands.draft import CALL_ID, STATE_KINDS, WAIT_S, Draft
from mevflow.control.commands.ledger import Held, Ledger, RememberedCall
from mevflow.control.commands.record import Entry
from mevflow.control.commands.shards import Roll
from mevflow.control.refusal import Refused
from mevflow.control.topics.writer import Writer
from mevflow.flows.steering.protocol import ISSUED, command_key
from mevflow.v1.control_pb2 import ControlAudit, ControlCommand
from mevflow.v1.control_service_pb2 import CommandReply, Delivery

#: How long a record may take from the broker's word to the reader.
_CONFIRM_S = 5.0
#: How long the broker may take to accept a kill, before another way is taken. It may still arrive: that does no harm.
_KILL_S = 1.0
_TRIES = 5


class Issuer:
    """Issues commands of one service. ``Ledger`` and ``Roll`` are filled by the readers."""

    def __init__(self, ledger: Ledger, roll: Roll, writer: Writer, service_id: str) -> None:
        self._ledger, self._roll, self._writer, self._service_id = ledger, roll, writer, service_id
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def issue(self, draft: Draft) -> CommandReply:
        """Send a command and wait as its ack policy says. Raises Refused."""
        draft.check()
        deadline = time.monotonic() + draft.wait_s
        entry = await self._former(draft)
        replayed = entry is not None
        if entry is None:
            entry = await self._send(draft, deadline)
        await self._settle(entry, draft, deadline)
        if not replayed and _must_go_back(entry, draft):
            await self._roll_back(entry, draft)
        entry.open = entry.open and draft.delivery.ack == Delivery.NONE
        entry.announced = entry.outcome()
        reply = entry.reply()
        reply.replayed = replayed
        return reply

    async def _former(self, draft: Draft) -> Entry | None:
        """The command of an earlier call with this idempotency key. Raises Refused when that call was another one."""
        key = draft.delivery.idempotency_key
        call = self._ledger.former_call(draft.identity.name, key)
        if call is None:
            return None
        if call.request_hash != draft.digest:
            raise Refused(
                "ALREADY_EXISTS",
                "IDEMPOTENCY_KEY_REUSED",
                f"the idempotency key {key!r} belongs to another call",
                fields=[("delivery.idempotency_key", "take a new key for a new call")],
                command_id=call.command_id,
            )
        entry = self._ledger.entry(call.command_id)
        if entry is None:
            raise Refused(
                "FAILED_PRECONDITION",
                "COMMAND_FORGOTTEN",
                "that call was made before; what came of it is only in the audit log",
                command_id=call.command_id,
            )
        if entry.won is None and not entry.open:
            # Promised, never seen in the log: its service died in between. The same command again.
            async with self._locks[entry.key]:
                if entry.won is None and entry.command.version > self._ledger.held(entry.key).version:
                    entry.expected = self._roll.expected(entry.command)
                    await self._write(entry, draft)
        if entry.won is False:
            self._ledger.forget(draft.identity.name, key)
            return None
        return entry

    async def _send(self, draft: Draft, deadline: float) -> Entry:
        key = command_key(draft.topology, draft.kind, draft.target)
        for _ in range(_TRIES):
            async with self._locks[key]:
                held = self._ledger.held(key)
                self._check_version(draft, held)
                entry = self.draw(draft, held)
                entry.open = entry.mine = True
                self._ledger.open(entry)
                given = draft.delivery.idempotency_key
                self._ledger.call(draft.identity.name, given, RememberedCall(draft.digest, entry.command.command_id))
                try:
                    await self._write(entry, draft)
                except BaseException:
                    entry.close()
                    raise
                if entry.won:
                    return entry
                entry.close()
                self._ledger.forget(draft.identity.name, given)
                await self.mend(held)
            if not draft.insist:
                break
        assert held.current is not None
        raise Refused(
            "ABORTED",
            "VERSION_TAKEN",
            f"another service set version {held.version} first",
            preconditions=[("VERSION", key, f"version {held.version} is in force")],
            metadata={"version": str(held.version), "winner": held.current.command.command_id},
            retry_after_s=0.0,
            command_id=entry.command.command_id,
        )

    def _check_version(self, draft: Draft, held: Held) -> None:
        if draft.delivery.HasField("expected_version") and draft.delivery.expected_version != held.version:
            wanted = draft.delivery.expected_version
            raise Refused(
                "ABORTED",
                "VERSION_MISMATCH",
                f"version {held.version} is in force, not {wanted}",
                preconditions=[("VERSION", f"{draft.topology}/{draft.target}", f"version {held.version} is in force")],
                metadata={"version": str(held.version), "expected": str(wanted)},
            )

    def draw(self, draft: Draft, held: Held) -> Entry:
        """The command as it would be sent now, with who would have to answer."""
        now_us = time.time_ns() // 1000
        given = draft.delivery
        command = ControlCommand(
            command_id=uuid.uuid4().hex,
            topology=draft.topology,
            kind=draft.kind,
            target=draft.target,
            version=held.version + 1,
            nonce=uuid.uuid4().bytes,
            issuer=draft.identity.name,
            issued_at_us=now_us,
            expires_at_us=now_us + given.ttl_ms * 1000 if given.ttl_ms else 0,
            payload=draft.payload,
            reason=given.reason,
            rolled_back_from=draft.rolled_back_from,
        )
        return Entry(command, self._roll.expected(command))

    async def _write(self, entry: Entry, draft: Draft) -> None:
        """Promise, send, and wait until the record has come back. Raises Refused (UNAVAILABLE)."""
        record = self._promise(entry, draft)
        if draft.kind == "kill":
            self._writer.audit(record)
            await self._writer.command(entry.command, _KILL_S)
        else:
            await self._writer.issued(record)
            await self._writer.command(entry.command)
        deadline = time.monotonic() + _CONFIRM_S
        while entry.won is None:
            if not await entry.news(deadline - time.monotonic()) and entry.won is None:
                raise Refused(
                    "UNAVAILABLE",
                    "NOT_CONFIRMED",
                    "the broker has the command, but it did not come back through the log in time",
                    command_id=entry.command.command_id,
                )

    def _promise(self, entry: Entry, draft: Draft) -> ControlAudit:
        command = entry.command
        return ControlAudit(
            timestamp_us=command.issued_at_us,
            call_id=CALL_ID.get(),
            identity=draft.identity.name,
            role=str(draft.identity.role),
            method=draft.method,
            topology=command.topology,
            target=command.target,
            status=ISSUED,
            command_id=command.command_id,
            version=command.version,
            reason=command.reason,
            idempotency_key=draft.delivery.idempotency_key,
            request_hash=draft.digest,
            command=command.SerializeToString(),
        )

    async def mend(self, held: Held) -> None:
        """Write the winner once more where a loser's record came last. Shards answer DUPLICATE."""
        if held.torn and held.current is not None:
            await self._writer.command(held.current.command)

    async def _settle(self, entry: Entry, draft: Draft, deadline: float) -> None:
        """Wait until the ack policy is met or cannot be, or until ``deadline``."""
        policy = draft.delivery.ack
        while policy != Delivery.NONE:
            tally = entry.tally()
            if tally.answered or (draft.delivery.rollback and tally.rejected):
                break
            if policy == Delivery.QUORUM and tally.quorum is not None:
                break
            if not await entry.news(deadline - time.monotonic()):
                break
        if policy == Delivery.NONE:
            asyncio.get_running_loop().call_later(WAIT_S, entry.close)
        else:
            entry.close()

    async def _roll_back(self, entry: Entry, draft: Draft) -> None:
        """Give everyone the former state again under a higher version, unless something newer is in force."""
        held = self._ledger.held(entry.key)
        former = self.former_good(held, entry.command.version)
        if former is None:
            entry.note = "not rolled back: no command before it is known to have been applied"
            return
        delivery = Delivery(
            expected_version=entry.command.version,
            wait_ms=draft.delivery.wait_ms,
            reason=f"takes back version {entry.command.version}",
        )
        back = Draft(
            method=draft.method,
            kind=draft.kind,
            topology=draft.topology,
            target=draft.target,
            payload=former.command.payload,
            identity=draft.identity,
            delivery=delivery,
            rolled_back_from=entry.command.command_id,
            way_back=True,
        )
        try:
            reply = await self.issue(back)
        except Refused as refused:
            entry.note = f"not rolled back: {refused.message}"
            return
        entry.note = f"version {former.command.version} is set again as version {reply.version}"

    def former_good(self, held: Held, before: int) -> Entry | None:
        """The newest command below a version that was applied and not taken back."""
        for entry in reversed(held.history):
            taken_back = entry.rolled_back_by is not None or entry.outcome() == CommandReply.REJECTED
            if entry.command.version < before and entry.won and not taken_back:
                return entry
        return None


def _must_go_back(entry: Entry, draft: Draft) -> bool:
    """Whether the former state is to be set again: a refusal, and the caller asked for it, or nobody has the new one.

    The last record of a key is what a shard that starts later reads, and all that compaction leaves.
    """
    if draft.way_back:
        return False
    if draft.delivery.rollback:
        return entry.outcome() in (CommandReply.PARTIAL, CommandReply.REJECTED)
    tally = entry.tally()
    return draft.kind in STATE_KINDS and tally.answered and entry.outcome(tally) == CommandReply.REJECTED
