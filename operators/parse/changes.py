"""A change of a pool other than by a swap, as parts of a transaction tell it; and what earlier ones told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.parse.errors import ParseError

#: Positions and pools that are remembered; the oldest are forgotten.
MEMORY = 100_000


@dataclass(slots=True)
class StateChange:
    """``kind`` is a ``PoolUpdate.Kind``; ``fields`` are its fields, amounts still integers.

    ``position`` is the account whose range is meant; ``opens``: it begins with this range, ``resized``: it has another
    one now. ``needs_outcome``: the instruction alone does not tell what it did. ``refused``: the pool now charges what
    no row can carry. ``config`` is the account whose fee the pool has; without a pool, that of all its pools changes.
    ``open_s``: nobody swaps before that time, in seconds.
    """

    kind: int
    pool: bytes = b""
    fields: dict[str, Any] = field(default_factory=dict)
    position: bytes = b""
    opens: bool = False
    needs_outcome: bool = False
    refused: bool = False
    resized: bool = False
    config: bytes = b""
    open_s: int = 0
    then: StateChange | None = None  # a second change that the same event states

    def told(self, event: StateChange) -> StateChange:
        """This instruction's change with what the program said about it."""
        return StateChange(
            self.kind,
            self.pool or event.pool,
            {**self.fields, **event.fields},
            self.position or event.position,
            self.opens,
            refused=self.refused or event.refused,
            resized=self.resized or event.resized,
            config=self.config or event.config,
            open_s=self.open_s or event.open_s,
            then=event.then or self.then,
        )


class FeeTerms(IntEnum):
    """What is known of a pool's fee beside that of its configuration."""

    UNKNOWN = 0
    #: The last swap paid that fee alone, as its program said.
    LAST_SWAP = 1
    #: The pool was made so: it can have no other.
    FOR_EVER = 2


class SavedMemory(msgspec.Struct):
    """What a :class:`Memory` holds, oldest first."""

    venues: list[tuple[bytes, int]] = []
    configs: dict[bytes, tuple[bytes, FeeTerms]] = {}
    ranges: list[tuple[bytes, tuple[bytes, int, int]]] = []
    steps: list[tuple[bytes, int]] = []


class Memory:
    """Ranges of positions (account -> lower, upper) and bin steps of pairs, as creations told them; pools by venue.

    Pools that share a configuration account have its fee.
    """

    def __init__(self) -> None:
        self._venues: OrderedDict[bytes, int] = OrderedDict()
        self._configs: dict[bytes, tuple[bytes, FeeTerms]] = {}
        self._ranges: OrderedDict[bytes, tuple[bytes, int, int]] = OrderedDict()
        self._steps: OrderedDict[bytes, int] = OrderedDict()

    def saved(self) -> SavedMemory:
        """All of it as plain values, for a snapshot."""
        return SavedMemory([*self._venues.items()], {**self._configs}, [*self._ranges.items()], [*self._steps.items()])

    def restore(self, saved: SavedMemory) -> None:
        """Go to what :meth:`saved` gave."""
        self._venues, self._configs = OrderedDict(saved.venues), {**saved.configs}
        self._ranges, self._steps = OrderedDict(saved.ranges), OrderedDict(saved.steps)

    def keep_pool(self, pool: bytes, venue: int) -> None:
        """Rows of ``pool`` have been given."""
        self._venues[pool] = venue
        self._venues.move_to_end(pool)
        if len(self._venues) > MEMORY:
            oldest, _ = self._venues.popitem(last=False)
            self._configs.pop(oldest, None)

    def pools_among(self, accounts: Iterable[bytes]) -> dict[bytes, int]:
        """Which accounts are pools of which rows have been given, and their venues."""
        return {key: self._venues[key] for key in accounts if key in self._venues}

    def keep_config(self, pool: bytes, config: bytes, terms: FeeTerms) -> None:
        """The configuration account of a pool that is kept. What it was made with holds for ever."""
        _, before = self._configs.get(pool, (b"", FeeTerms.UNKNOWN))
        self._configs[pool] = config, before if before is FeeTerms.FOR_EVER else terms

    def pools_of(self, config: bytes, venue: int) -> list[tuple[bytes, FeeTerms]]:
        """The pools of a venue that have this configuration, or may have it for all that was told."""
        if not config:
            return []
        told = ((pool, *self._configs.get(pool, (b"", FeeTerms.UNKNOWN))) for pool in self.pools_in(venue))
        return [(pool, terms if of else FeeTerms.UNKNOWN) for pool, of, terms in told if of in (config, b"")]

    def pools_in(self, venue: int) -> list[bytes]:
        """The pools of a venue of which rows have been given."""
        return [pool for pool, one in self._venues.items() if one == venue]

    def forget_range(self, position: bytes) -> None:
        """The position's range is another now."""
        self._ranges.pop(position, None)

    def keep_range(self, position: bytes, pool: bytes, lower: int, upper: int) -> None:
        self._ranges[position] = pool, lower, upper
        if len(self._ranges) > MEMORY:
            self._ranges.popitem(last=False)

    def range_of(self, position: bytes) -> tuple[bytes, int, int] | None:
        """(pool, lower, upper) of a position that was opened, or None."""
        return self._ranges.get(position)

    def keep_step(self, pool: bytes, bin_step: int) -> None:
        self._steps[pool] = bin_step
        if len(self._steps) > MEMORY:
            self._steps.popitem(last=False)

    def step_of(self, pool: bytes) -> int | None:
        """A pair's bin step in basis points, or None."""
        return self._steps.get(pool)


@dataclass(frozen=True, slots=True)
class PoolInstruction:
    """One instruction of a venue's program: its data and the keys of its accounts."""

    data: bytes
    accounts: list[bytes]

    def key(self, place: int) -> bytes:
        """An account's key. Raises ParseError when the record does not name it."""
        if place >= len(self.accounts) or not self.accounts[place]:
            raise ParseError(f"account {place} of an instruction is not in the record", reason="truncated")
        return self.accounts[place]

    def arguments(self, what: str, first: int = 8) -> AccountReader:
        """A reader behind the ``first`` bytes."""
        return AccountReader(self.data, what, first, self.data[:first])


def checked_range(lower: int, upper: int) -> tuple[int, int]:
    """A range of ticks or bins. Raises ParseError when it is not ascending."""
    if lower > upper:
        raise ParseError(f"a range is ascending, not [{lower}, {upper}]")
    return lower, upper


def as_parse_error(wrong: AccountError, payload: bytes) -> ParseError:
    """A cut or impossible piece of data as the parser's own error."""
    # The reader speaks of accounts; here it reads events and instructions.
    message = wrong.message.replace(" account", "", 1)
    return ParseError(message, reason=wrong.reason or "malformed", payload=payload)
