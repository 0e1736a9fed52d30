"""One command, who must answer it, who has, and what that comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mevflow.flows.steering.protocol import command_key
from mevflow.v1.control_pb2 import ControlAck, ControlCommand
from mevflow.v1.control_service_pb2 import CommandReply, ShardAnswer

#: Who answers: topology, shard, stage ("": the shard as a whole, or whichever of its stages are concerned).
Place = tuple[str, int, str]

_HAS_IT = (ControlAck.APPLIED, ControlAck.DUPLICATE)


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers counted by what they say."""

    applied: int
    rejected: int
    missing: int

    @property
    def expected(self) -> int:
        return self.applied + self.rejected + self.missing

    @property
    def answered(self) -> bool:
        """Whether everyone has."""
        return not self.missing

    @property
    def quorum(self) -> bool | None:
        """Whether more than half have it; None while that is open."""
        if 2 * self.applied > self.expected or not self.expected:
            return True
        return None if 2 * (self.applied + self.missing) > self.expected else False


@dataclass(eq=False, slots=True)
class Entry:
    """A command as the service knows it.

    ``won`` is None until the command is seen in the log, then whether it took its version there (a lower offset wins).
    ``open`` is true while a caller waits, or would; what comes afterwards is late. ``mine``: issued by this service.
    ``superseded``: a later version is in force. A shard that starts anew reads the log again and answers again, from
    the state that it holds by then; what it had applied before was applied, whatever it says now of what is superseded.
    """

    command: ControlCommand
    expected: frozenset[Place] = frozenset()
    offset: int = -1
    won: bool | None = None
    open: bool = False
    mine: bool = False
    superseded: bool = False
    note: str = ""
    rolled_back_by: Entry | None = None
    announced: int = 0
    answers: dict[Place, ControlAck] = field(default_factory=dict)
    late: set[Place] = field(default_factory=set)
    _had: dict[Place, ControlAck] = field(default_factory=dict)  # the last answer that said so
    _seen: set[tuple[str, Place]] = field(default_factory=set)
    _watchers: set[asyncio.Event] = field(default_factory=set)

    @property
    def key(self) -> str:
        """Of its record."""
        return command_key(self.command.topology, self.command.kind, self.command.target)

    def answer(self, ack: ControlAck) -> bool:
        """Take an answer. False for one that this run of the shard has given before; a new run's replaces it."""
        place = (ack.topology, ack.shard, ack.stage)
        if (ack.run_id, place) in self._seen:
            return False
        self._seen.add((ack.run_id, place))
        self.answers[place] = ack
        if ack.status in _HAS_IT:
            self._had[place] = ack
        if not self.open:
            self.late.add(place)
        self.changed()
        return True

    def _of(self, place: Place) -> ControlAck:
        """The answer that counts: the last one, unless it is about a state that came after this command."""
        ack = self.answers[place]
        later = self.superseded or ack.status == ControlAck.STALE
        return self._had.get(place, ack) if later else ack

    def close(self) -> None:
        """Nobody waits any longer: what comes now is late."""
        self.open = False

    def changed(self) -> None:
        """Wake who waits for news of it."""
        for event in self._watchers:
            event.set()

    async def news(self, seconds: float) -> bool:
        """Wait for a change; False when there was none in time."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            await asyncio.wait_for(event.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        finally:
            self._watchers.discard(event)
        return True

    def _rows(self) -> Iterator[tuple[Place, ControlAck | None]]:
        """Every place that must answer or has, with its answer."""
        used: set[Place] = set()
        for place in sorted(self.expected):
            topology, shard, stage = place
            whole = (topology, shard, "")
            if stage:
                found = [p for p in (place, whole) if p in self.answers][:1]
            else:
                found = [p for p in self.answers if p[:2] == place[:2]]
            used.update(found)
            if not found:
                yield place, None
            for each in found:
                yield (each if not stage else place), self._of(each)
        for place in self.answers:
            if place not in used:
                yield place, self._of(place)

    def tally(self) -> Tally:
        """Count who has it, who refused and who is silent."""
        return self._count(self._rows())

    def _count(self, rows: Iterable[tuple[Place, ControlAck | None]]) -> Tally:
        applied = rejected = missing = 0
        for _, ack in rows:
            if ack is None:
                missing += 1
            elif ack.status in _HAS_IT:
                applied += 1
            else:
                rejected += 1
        return Tally(applied, rejected, missing)

    def outcome(self, tally: Tally | None = None) -> CommandReply.Outcome:
        """What it has come to by now. ``tally`` is the present one, if it is known."""
        tally = tally or self.tally()
        back = self.rolled_back_by
        if (tally.applied or not tally.rejected) and back is not None and back.outcome() == CommandReply.CONVERGED:
            return CommandReply.ROLLED_BACK
        if tally.answered and not tally.rejected:
            return CommandReply.PENDING if self.won is None else CommandReply.CONVERGED
        if not tally.answered and self.open:
            return CommandReply.PENDING
        if tally.applied:
            return CommandReply.PARTIAL
        return CommandReply.REJECTED if tally.rejected else CommandReply.TIMED_OUT

    def reply(self, *, payload: bool = True) -> CommandReply:
        """For the caller."""
        command, rows = self.command, list(self._rows())
        tally = self._count(rows)
        return CommandReply(
            command_id=command.command_id,
            topology=command.topology,
            target=command.target,
            kind=command.kind,
            version=command.version,
            outcome=self.outcome(tally),
            answers=[self._shown(place, ack) for place, ack in rows],
            expected=tally.expected,
            applied=tally.applied,
            rejected=tally.rejected,
            missing=tally.missing,
            rolled_back_by=self.rolled_back_by.command.command_id if self.rolled_back_by else "",
            rolled_back_from=command.rolled_back_from,
            issuer=command.issuer,
            issued_at_us=command.issued_at_us,
            expires_at_us=command.expires_at_us,
            reason=command.reason,
            payload=command.payload if payload else b"",
            offset=self.offset,
            note=self.note,
        )

    def _shown(self, place: Place, ack: ControlAck | None) -> ShardAnswer:
        topology, shard, stage = place
        if ack is None:
            return ShardAnswer(topology=topology, shard=shard, stage=stage, offset=-1)
        return ShardAnswer(
            topology=topology,
            shard=shard,
            stage=stage,
            status=ControlAck.Status.Name(ack.status),
            reason=ack.reason,
            detail=ack.detail,
            run_id=ack.run_id,
            topic=ack.topic,
            partition=ack.partition,
            offset=ack.offset,
            timestamp_us=ack.timestamp_us,
            late=place in self.late,
            unexpected=place not in self.expected and (topology, shard, "") not in self.expected,
        )
