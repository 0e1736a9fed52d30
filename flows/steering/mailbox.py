"""The way of a command into a stage: the control thread puts it in, the dataflow takes it out before its next item.

Here versions are judged, by key: an older one than what is held is STALE; the version held is a DUPLICATE with the same
nonce and REJECTED (``version_taken``) with another; a repeated command that was rejected is rejected again. What a
stage rejects leaves what it holds as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mevflow.flows.steering.protocol import command_key
from mevflow.operators.stage import Ack, Command, Stage
from mevflow.v1.control_pb2 import ControlCommand

#: Where in the source something took effect: topic, partition, offset.
Position = tuple[str, int, int]
NOWHERE: Position = ("", -1, -1)


@dataclass(slots=True)
class _Held:
    """The last answers about one key."""

    version: int = -1  # of the last command that was accepted
    nonce: bytes = b""
    rejected: tuple[int, bytes, Ack] | None = None


class AnswerBook:
    """Versions by key, for one that answers: a stage, or the shard as a whole."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def judge(self, command: ControlCommand) -> Ack | None:
        """The answer that versions alone give, or None when the command is news."""
        held = self._held.get(_key(command))
        if held is None:
            return None
        if held.rejected is not None and held.rejected[:2] == (command.version, command.nonce):
            return held.rejected[2]
        if command.version < held.version:
            return Ack("STALE", "version", f"version {held.version} is held")
        if command.version > held.version:
            return None
        if command.nonce == held.nonce:
            return Ack("DUPLICATE")
        return Ack("REJECTED", "version_taken", "another command has this version")

    def note(self, command: ControlCommand, ack: Ack) -> None:
        """Remember what came of a command that was news."""
        held = self._held.setdefault(_key(command), _Held())
        if ack.status == "REJECTED":
            held.rejected = (command.version, command.nonce, ack)
        elif command.version >= held.version:
            held.version, held.nonce = command.version, command.nonce


def _key(command: ControlCommand) -> str:
    return command_key(command.topology, command.kind, command.target)


@dataclass(slots=True)
class Order:
    """A command about the shard as a whole that the dataflow carries out: acknowledged once every node has.

    ``off`` are the scopes that the kill switch has off after it, for the stages to know.
    """

    command: ControlCommand
    ack: Ack
    waiting: set[str]
    off: bytes = b""
    position: Position = NOWHERE


@dataclass(slots=True)
class Mailbox:
    """One stage's. ``answer`` takes (command, stage, ack, position)."""

    node: str
    answer: Callable[[ControlCommand, str, Ack, Position], None]
    done: Callable[[Order, str, Position], None]
    _letters: deque[ControlCommand | Order] = field(default_factory=deque)
    _book: AnswerBook = field(default_factory=AnswerBook)

    def put(self, letter: ControlCommand | Order) -> None:
        """Leave a command; safe from another thread."""
        self._letters.append(letter)

    def __bool__(self) -> bool:
        return bool(self._letters)

    def drain(self, stage: Stage, position: Position) -> None:
        """Give the stage what waits, in order, and answer. ``position`` is what the stage has consumed up to."""
        while self._letters:
            letter = self._letters.popleft()
            if isinstance(letter, Order):
                given = letter.command
                seen = stage.on_control(_plain(given, letter.off))
                self.done(letter, self.node, position if seen is not None else NOWHERE)
                continue
            ack = self._book.judge(letter)
            if ack is None:
                ack = stage.on_control(_plain(letter, letter.payload))
                if ack is None:
                    ack = Ack("REJECTED", "not_steerable", f"{stage.use} takes no {letter.kind} command")
                self._book.note(letter, ack)
            self.answer(letter, self.node, ack, position)


def _plain(command: ControlCommand, payload: bytes) -> Command:
    return Command(command.command_id, command.kind, command.target, command.version, payload)
