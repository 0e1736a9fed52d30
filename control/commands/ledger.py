"""What the topics say: the command in force by key, former ones, their answers, and which calls were made before.

No Kafka here: records go in by ``command``, ``ack`` and ``audit`` in the order of their topics, and the same records
give the same state, so that a service which starts anew forgets nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from mevflow.control.commands.draft import STATE_KINDS
from mevflow.control.commands.record import Entry
from mevflow.flows.steering.protocol import ISSUED, SLOTS, command_key
from mevflow.flows.steering.wellformed import fault_of
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand

_KEPT = 20_000
_ORPHANS = 20_000
_HISTORY = 200
_CALLS = 100_000

#: Method of the audit record that says what became of a command after its caller had been answered.
OUTCOME = "Outcome"


@dataclass(slots=True)
class Held:
    """One key: the highest version that a record took, who has it, and the entries that were in force before."""

    version: int = 0
    current: Entry | None = None
    last_record: str = ""
    history: list[Entry] = field(default_factory=list)

    @property
    def torn(self) -> bool:
        """Whether the last record of the key is not the one in force: compaction would leave the wrong one."""
        return self.current is not None and self.last_record != self.current.command.command_id


@dataclass(frozen=True, slots=True)
class RememberedCall:
    """A call that bore an idempotency key."""

    request_hash: bytes
    command_id: str


class Ledger:
    """Bounded in memory: what is in force is kept, of the rest the newest."""

    def __init__(self) -> None:
        self.keys: dict[str, Held] = {}
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._orphans: OrderedDict[str, list[ControlAck]] = OrderedDict()
        self._waiting = 0  # of them all
        self._calls: OrderedDict[tuple[str, str], RememberedCall] = OrderedDict()

    def held(self, key: str) -> Held:
        """The state of a key, made when there is none."""
        return self.keys.setdefault(key, Held())

    def entry(self, command_id: str) -> Entry | None:
        """A command by its id."""
        return self._entries.get(command_id)

    def open(self, entry: Entry) -> None:
        """Know a command that is about to be sent."""
        self._entries[entry.command.command_id] = entry
        waiting = self._orphans.pop(entry.command.command_id, [])
        self._waiting -= len(waiting)
        for ack in waiting:
            entry.answer(ack)
        self._trim()

    def _trim(self) -> None:
        for command_id in list(self._entries)[: max(0, len(self._entries) - _KEPT)]:
            entry = self._entries[command_id]
            if not entry.open and self.held(entry.key).current is not entry:
                del self._entries[command_id]

    def _known(self, command: ControlCommand) -> Entry:
        entry = self._entries.get(command.command_id)
        if entry is None:
            entry = Entry(command)
            self.open(entry)
        return entry

    def command(self, offset: int, command: ControlCommand) -> Entry:
        """A record of ``control-commands``: the first one with a version takes it."""
        entry = self._known(command)
        held = self.held(entry.key)
        held.last_record = command.command_id
        if entry.won is None or entry.offset < 0:
            entry.offset = offset
            if command.version > held.version:
                if held.current is not None:
                    held.current.superseded = True
                entry.won, held.version, held.current, entry.superseded = True, command.version, entry, False
                self._remember(held, entry)
            elif entry is not held.current and entry.won is None:
                entry.won = False
            entry.changed()
        return entry

    def _remember(self, held: Held, entry: Entry) -> None:
        if entry not in held.history:
            held.history.append(entry)
            held.history.sort(key=lambda each: each.command.version)
            del held.history[:-_HISTORY]
        former = self._entries.get(entry.command.rolled_back_from)
        if former is not None:
            former.rolled_back_by = entry

    def ack(self, ack: ControlAck) -> Entry | None:
        """A record of ``control-acks``. Gives the entry when the answer was news."""
        entry = self._entries.get(ack.command_id)
        if entry is not None:
            return entry if entry.answer(ack) else None
        self._orphans.setdefault(ack.command_id, []).append(ack)
        self._waiting += 1
        while self._waiting > _ORPHANS:
            _, oldest = self._orphans.popitem(last=False)
            self._waiting -= len(oldest)
        return None

    def audit(self, record: ControlAudit) -> None:
        """A record of ``control-audit``: former commands and calls, which compaction may have taken from the log.

        Raises ValueError for a command that is none: whoever may write records could name a key that there is not.
        """
        if record.status == ISSUED and record.command:
            command = ControlCommand.FromString(record.command)
            if why := fault_of(command) or ("" if command.kind in SLOTS else f"no kind {command.kind[:50]!r}"):
                raise ValueError(why)
            self._known(command)
            self.call(record.identity, record.idempotency_key, RememberedCall(record.request_hash, command.command_id))
        elif record.command_id and (entry := self._entries.get(record.command_id)) is not None:
            if record.status == "ABORTED":
                self.forget(record.identity, record.idempotency_key)
            elif record.status == "OK" and record.method != OUTCOME:
                # It was in the log when its caller was answered, though compaction may have taken it since.
                if entry.won is None:
                    entry.won = True
                entry.superseded = self.held(entry.key).current is not entry
                self._remember(self.held(entry.key), entry)

    def call(self, identity: str, idempotency_key: str, call: RememberedCall) -> None:
        """Remember a call by its idempotency key, if it has one."""
        if idempotency_key:
            self._calls[identity, idempotency_key] = call
            while len(self._calls) > _CALLS:
                self._calls.popitem(last=False)

    def former_call(self, identity: str, idempotency_key: str) -> RememberedCall | None:
        """The call that this identity made with this key."""
        return self._calls.get((identity, idempotency_key)) if idempotency_key else None

    def forget(self, identity: str, idempotency_key: str) -> None:
        """A call that changed nothing may be made again."""
        self._calls.pop((identity, idempotency_key), None)

    def states(self, topology: str) -> list[ControlCommand]:
        """The policies and models in force for a topology's stages, in the order in which they came."""
        found = [held.current for held in self.keys.values() if held.current is not None]
        of_stages = [
            entry for entry in found if entry.command.kind in STATE_KINDS and entry.command.topology in ("", topology)
        ]
        return [entry.command for entry in sorted(of_stages, key=lambda entry: entry.offset)]

    def in_force(self, topology: str, kind: str, target: str) -> Held:
        """What is in force for one thing that can be set."""
        return self.keys.get(command_key(topology, kind, target), Held())
