"""The protocol of ``clickhouse.sink`` as a small model: every step that can be cut short, without an engine.

``Rules`` says how the sink remembers. Each former rule of it has a run that loses or doubles rows; hypothesis finds it.
The words are those of :mod:`mevflow.sinks.clickhouse.sink`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MONTHS, MINUTES = 2, 6
#: Minute of a row by its offset: months interleave, and a minute's rows do not stand together.
_MINUTE_OF = (0, 3, 1, 4, 0, 3, 2, 5, 1, 4, 2, 5, 0, 5, 3, 2)
ROWS = len(_MINUTE_OF)


@dataclass(frozen=True)
class Rules:
    """``by_row``: what is stored is looked up, not concluded from how far a block's offsets reach.

    ``keeps_again``: a snapshot names what was stored before an earlier crash and has not come again.
    ``fenced``: the engine refuses blocks of an epoch that has a successor.
    """

    by_row: bool = True
    keeps_again: bool = True
    fenced: bool = True


@dataclass(frozen=True)
class State:
    """A snapshot: the next number, and where rows may come again (minutes, or offsets of blocks)."""

    next_seq: int = 0
    again: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Block:
    """Rows of one month, stored whole or not at all."""

    seq: int
    epoch: int
    rows: tuple[int, ...]


@dataclass
class Process:
    """One sink: what it has gathered, what it knows of, and up to where it has read."""

    epoch: int
    at: int
    known: frozenset[int]
    numbers: int
    gathered: list[int] = field(default_factory=list)


class World:
    """The table, the kept snapshot with the source's position, and the process that runs."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.table: list[Block] = []
        self.epoch = 0
        self.kept, self.kept_at = State(), 0
        self.now = self.open()

    def open(self) -> Process:
        """Claim the next epoch, and find out where rows may come again."""
        self.epoch += 1
        since = [block for block in self.table if block.seq >= self.kept.next_seq]
        if self.rules.by_row:
            known = frozenset(_MINUTE_OF[row] for block in since for row in block.rows)
        else:
            known = frozenset(row for block in since for row in range(min(block.rows), max(block.rows) + 1))
        first = max([block.seq + 1 for block in self.table] + [self.kept.next_seq])
        return Process(self.epoch, self.kept_at, known | self.kept.again, first)

    def read(self, count: int) -> None:
        """Gather the next rows."""
        end = min(ROWS, self.now.at + count)
        self.now.gathered += range(self.now.at, end)
        self.now.at = end

    def cut(self, process: Process, stored: int) -> bool:
        """Cut what is gathered; only so many of its blocks are stored. False when one was refused."""
        rows, process.gathered = process.gathered, []
        for month in range(MONTHS):
            fresh = tuple(
                r for r in rows if _MINUTE_OF[r] // (MINUTES // MONTHS) == month and not self._is_there(process, r)
            )
            if not fresh:
                continue
            block = Block(process.numbers, process.epoch, fresh)
            process.numbers += 1
            if stored <= 0:
                continue
            stored -= 1
            if self.rules.fenced and process.epoch < self.epoch:
                return False
            self.table.append(block)
        return True

    def _is_there(self, process: Process, row: int) -> bool:
        if not self.rules.by_row:
            return row in process.known
        return _MINUTE_OF[row] in process.known and any(row in block.rows for block in self.table)

    def snapshot(self, kept: bool) -> None:
        """Store everything; then the snapshot is kept, or the process dies before it is."""
        self.cut(self.now, ROWS)
        again = self.now.known if self.rules.keeps_again else frozenset()
        if kept:
            self.kept, self.kept_at = State(self.now.numbers, again), self.now.at
            self.now.numbers += 1
        else:
            self.crash(0)

    def crash(self, stored: int) -> None:
        """Die when so many blocks of what is gathered are stored; start again."""
        self.cut(self.now, stored)
        self.now = self.open()

    def stand_still(self) -> None:
        """A successor opens while the process has rows to send; it sends them afterwards, and dies."""
        zombie = replace(self.now, gathered=list(self.now.gathered))
        self.now = self.open()
        self.cut(zombie, ROWS)

    def finish(self) -> None:
        """Read to the end, and snapshot."""
        self.read(ROWS)
        self.snapshot(True)

    def faults(self) -> dict[str, list[int]]:
        """Rows that are lost, and rows that are stored more than once."""
        count = [sum(row in block.rows for block in self.table) for row in range(ROWS)]
        return {
            "lost": [row for row in range(ROWS) if not count[row]],
            "doubled": [row for row in range(ROWS) if count[row] > 1],
        }
