"""A chain of slots put together from what a node streams of them, in pieces and on any fork.

States. ``ring`` holds the last slots that were given, each the parent of the next. Transactions are gathered by slot
until the slot's block is told; then it is given if its parent is the newest of the ring. A block elsewhere is a fork:
it is kept, and given in place of what the ring has above their common parent once it is the newest and the ring's part
is not confirmed, or once it is confirmed itself. A block whose parent nobody told is kept until somebody has fetched
what is missing (:class:`Missing`).
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import msgspec

#: Slots that are remembered as given, and as many blocks whose transactions are kept for when a fork comes back. The
#: cluster confirms a slot within 32 or leaves it.
RING = 64
#: Transactions of one slot that are believed. Of the 100 million units of computation in a block each of these would
#: have 3,000, and a swap needs tens of thousands.
MOST_TRANSACTIONS = 1 << 15


class GivenSlot(msgspec.Struct, frozen=True, array_like=True):
    """A slot that was given. ``hash`` is its block's, empty where nobody told."""

    slot: int
    parent: int
    hash: str
    time_s: int


@dataclass(frozen=True, slots=True)
class SlotTransaction:
    """A transaction in its slot; ``document`` is what ``getTransaction`` gives of it."""

    index: int
    signature: bytes
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlotBlock:
    """A whole slot, its transactions ascending by index."""

    slot: int
    parent: int
    hash: str
    parent_hash: str
    time_s: int
    transactions: tuple[SlotTransaction, ...] = ()

    @property
    def given(self) -> GivenSlot:
        return GivenSlot(self.slot, self.parent, self.hash, self.time_s)


@dataclass(frozen=True, slots=True)
class SlotsGone:
    """What was said of slot ``first`` (``alone``: of that one), or of it and all after it, does not hold.

    ``fork`` is the number of the fork that begins.
    """

    first: int
    fork: int
    time_s: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The block of slot ``slot`` and what lies between it and the ring is to be fetched."""

    slot: int


SlotStep: TypeAlias = SlotBlock | SlotsGone | Missing


def first_fork() -> int:
    """The number of the first fork of a source that begins anew: the time in hundredths of a second."""
    return time.time_ns() // 10_000_000


@dataclass
class SlotChain:
    """Used by one thread. ``start`` is the first slot to give, None for the one after the first that is seen."""

    start: int | None = None
    forks: int = 0
    ring: deque[GivenSlot] = field(default_factory=lambda: deque(maxlen=RING))
    confirmed: int = 0
    newest: int = 0
    _blocks: dict[int, SlotBlock] = field(default_factory=dict)
    _gathered: dict[int, dict[int, SlotTransaction]] = field(default_factory=dict)
    _joined: bool = False
    _asked: int | None = None

    @property
    def tip(self) -> GivenSlot | None:
        """The newest slot that was given."""
        return self.ring[-1] if self.ring else None

    def is_full(self, slot: int) -> bool:
        """Whether more transactions of a slot would be more than there can be."""
        kept = self._blocks.get(slot)
        return len(self._gathered.get(slot, ()) if kept is None else kept.transactions) >= MOST_TRANSACTIONS

    def connected(self, from_slot: int | None) -> None:
        """A stream begins: with a slot that was asked for, or in the middle of one, of which not all is told then."""
        self._joined, self._asked = False, from_slot
        self._gathered.clear()

    def transaction(self, slot: int, told: SlotTransaction) -> list[SlotStep]:
        """Take a transaction. One of a slot that was given already takes that slot back, and gives it whole."""
        self.newest = max(self.newest, slot)
        kept = self._blocks.get(slot)
        if kept is None:
            if not self.ring or slot > self.ring[-1].slot or not self._was_given(slot):
                self._gathered.setdefault(slot, {})[told.index] = told
                if len(self._gathered) > 2 * RING:  # slots that never come to an end
                    del self._gathered[min(self._gathered)]
            return []
        if any(one.index == told.index for one in kept.transactions):
            return []
        ordered = sorted((*kept.transactions, told), key=lambda one: one.index)
        self._blocks[slot] = replace(kept, transactions=tuple(ordered))
        if not self._was_given(slot):
            return []
        again = [one.slot for one in self.ring if one.slot >= slot]
        return [self._gone(slot), *(self._give(self._blocks[one]) for one in self._held(again))]

    def block(self, told: SlotBlock) -> list[SlotStep]:
        """Take a block's end: with what was gathered of it, it is whole. ``told`` may have transactions, too."""
        self.newest = max(self.newest, told.slot)
        gathered = self._gathered.pop(told.slot, {}) | {one.index: one for one in told.transactions}
        whole = replace(told, transactions=tuple(gathered[index] for index in sorted(gathered)))
        begun: list[SlotStep] = []
        if not self._joined:
            begun, is_whole = self._join(whole)
            if not is_whole:
                return begun
        if self._is_given(whole):
            return [step for one in whole.transactions for step in self.transaction(whole.slot, one)]
        self._keep(whole)
        return [*begun, *self._connect(whole, certain=False)]

    def fetched(self, block: SlotBlock) -> list[SlotStep]:
        """Take a confirmed block that was fetched for :class:`Missing`; they come ascending from the ring on."""
        self._joined = True
        begun = [] if self.ring else self._begin(block)
        if self._is_given(block):
            return []
        self._keep(block)
        return [*begun, *self._connect(block, certain=True)]

    def lost(self) -> SlotsGone:
        """All that was given is of a fork that the chain has left; the next block that is fetched begins anew."""
        return self._gone(self.ring[0].slot)

    def confirm(self, slot: int) -> list[SlotStep]:
        """The cluster has voted for a slot: the chain goes through it."""
        self.confirmed = max(self.confirmed, slot)
        block = self._blocks.get(slot)
        if block is None or not self.ring or self._is_given(block):
            return []
        return [*self._connect(block, certain=True), *self.go_on()]

    def dead(self, slot: int) -> list[SlotStep]:
        """No block comes of this slot, whatever was told of it."""
        self._gathered.pop(slot, None)
        self._blocks.pop(slot, None)
        if not self._was_given(slot):
            return []
        if slot == self.ring[-1].slot:
            gone = self.ring.pop()
            self.forks += 1
            return [SlotsGone(slot, self.forks, gone.time_s, alone=True)]
        return [self._gone(slot), *self.go_on()]

    def go_on(self) -> list[SlotStep]:
        """Give the blocks that are kept and follow the ring."""
        steps: list[SlotStep] = []
        for slot in sorted(self._blocks):
            tip = self.tip
            if tip is not None and slot > tip.slot and self._follows(self._blocks[slot], tip):
                steps.append(self._give(self._blocks[slot]))
        return steps

    def _join(self, block: SlotBlock) -> tuple[list[SlotStep], bool]:
        """What the first block of a stream means, and whether it is whole.

        It is where the stream goes on from the ring, or begins with the first slot that is wanted.
        """
        self._joined = True
        if self.ring:
            is_whole = self._asked is not None and any(self._follows(block, one) for one in self.ring)
            return ([] if is_whole else [Missing(block.slot)]), is_whole
        if self.start is None:
            self.ring.append(block.given)
            self.forks = first_fork()
            return [SlotsGone(block.slot + 1, self.forks, block.time_s)], False
        if self._asked is not None and block.parent < self.start <= block.slot:
            return self._begin(block), True
        return [Missing(block.slot)], False

    def _begin(self, block: SlotBlock) -> list[SlotStep]:
        """The ring begins with the parent of the first slot that is given."""
        self.ring.append(GivenSlot(block.parent, block.parent - 1, block.parent_hash, block.time_s))
        self.forks = self.forks + 1 if self.forks else first_fork()
        return [SlotsGone(block.slot, self.forks, block.time_s)]

    def _connect(self, block: SlotBlock, certain: bool) -> list[SlotStep]:
        """Give a block and its ancestors above the ring; keep them where the ring's own part stands."""
        path = [block]
        while (common := self._parent_given(path[-1])) is None:
            before = self._blocks.get(path[-1].parent)
            if before is None or before.slot >= path[-1].slot or not _agree(before.hash, path[-1].parent_hash):
                return [Missing(path[-1].parent)]
            path.append(before)
        above = [one for one in self.ring if one.slot > common.slot]
        steps: list[SlotStep] = []
        if above:
            settled = common.slot < self.confirmed and any(one.slot == self.confirmed for one in above)
            if not certain and (settled or block.slot <= above[-1].slot):
                return []
            steps.append(self._gone(above[0].slot))
        return [*steps, *(self._give(one) for one in reversed(path))]

    def _give(self, block: SlotBlock) -> SlotBlock:
        self.ring.append(block.given)
        for slot in [slot for slot in self._gathered if slot <= block.slot - RING]:
            del self._gathered[slot]
        return block

    def _gone(self, first: int) -> SlotsGone:
        """Take the ring's part from slot ``first`` on back."""
        time_s = 0
        while self.ring and self.ring[-1].slot >= first:
            time_s = self.ring.pop().time_s
        self.forks += 1
        return SlotsGone(first, self.forks, time_s)

    def _keep(self, block: SlotBlock) -> None:
        self._blocks[block.slot] = block
        while len(self._blocks) > RING:
            del self._blocks[min(self._blocks)]

    def _held(self, slots: list[int]) -> list[int]:
        """Those of ``slots`` that can be given again, up to the first that cannot."""
        found = []
        for slot in slots:
            if slot not in self._blocks:
                break
            found.append(slot)
        return found

    def _was_given(self, slot: int) -> bool:
        return any(one.slot == slot for one in self.ring)

    def _is_given(self, block: SlotBlock) -> bool:
        return any(one.slot == block.slot and _agree(one.hash, block.hash) for one in self.ring)

    def _parent_given(self, block: SlotBlock) -> GivenSlot | None:
        return next((one for one in reversed(self.ring) if self._follows(block, one)), None)

    @staticmethod
    def _follows(block: SlotBlock, parent: GivenSlot) -> bool:
        return block.parent == parent.slot and _agree(parent.hash, block.parent_hash)


def _agree(one: str, other: str) -> bool:
    """Two hashes of one block, where both are told."""
    return not one or not other or one == other
