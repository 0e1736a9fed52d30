"""Follow a chain, block by block: a fork is a parent that is not the block before, and nothing else.

States. ``ring`` holds the last 128 blocks given, by number and hash. The next block's parent must be the newest of
them. When it is not, the ring is walked back to the newest block that the chain still has: everything above it is
taken back with :class:`Fork`, and the walk goes on from there. Far below the head, blocks come by ranges up to the
finalized one; a range that a node refuses is halved, and doubled again when one succeeds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mevflow.operators.errors import StateError
from mevflow.operators.parse.evm.logs import LogJson
from mevflow.sources.evm.blocks import (
    Block,
    Header,
    LogFilter,
    by_hash,
    header,
    headers,
    logs_between,
    logs_of,
    prove_empty,
)
from mevflow.sources.evm.bloom import may_hold
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import CallError, NodeError, RpcNode

RING = 128
#: Below the head by more than this, blocks are read by ranges (of final blocks only).
_FAR = 32


@dataclass(frozen=True, slots=True)
class Fork:
    """What was said of block ``first`` and all after it does not hold. ``number`` is that of the fork that begins."""

    first: int
    number: int
    timestamp_s: int


def first_fork() -> int:
    """The number that a follower which begins anew gives to what it follows: the time in hundredths of a second.

    Each fork adds one, and no chain forks so often for long: it is larger than all of a follower that began before.
    """
    return time.time_ns() // 10_000_000


class Follower:
    """Gives a chain's blocks once each, in order, and forks between them. Used by one thread.

    ``forks`` is the present fork's number. It begins with the time (:func:`first_fork`), so that a follower that begins
    anew has a larger one than any before it, and is one more after each fork.
    """

    def __init__(self, nodes: Nodes, wanted: LogFilter, confirmations: int = 0, max_range: int = 2_000) -> None:
        self._nodes, self._confirmations, self._max_range = nodes, confirmations, max_range
        self._range = min(64, max_range)
        self.next = 0
        self.forks = 0
        self.head = 0
        self.ring: deque[tuple[int, bytes]] = deque(maxlen=RING)
        self.wanted = wanted

    @property
    def wanted(self) -> LogFilter:
        """Which logs come; it may grow while the chain is followed."""
        return self._wanted

    @wanted.setter
    def wanted(self, value: LogFilter) -> None:
        self._wanted, self._blooms = value, value.blooms()

    def start(self, block: int | str | None) -> Fork:
        """Go to a block by number or by hash (``0x`` and 64 digits), or (None) to the one after the head.

        Gives the fork that begins there: what an earlier follower said of that block and later ones is said anew.
        """
        if isinstance(block, int):
            self.next = block
        elif block is None:
            self.next = max(0, self._header("latest").number + 1 - self._confirmations)
        else:
            self.next = self._nodes.ask(lambda node: by_hash(node, block)).number
        before = self._nodes.ask(lambda node: _had(node, self.next - 1)).timestamp_s if self.next else 0
        self.forks = first_fork()
        return Fork(self.next, self.forks, before)

    def step(self) -> list[Block | Fork]:
        """What the chain has further: blocks, a fork, or nothing yet. Raises UnreachableError, StateError."""
        head = self._header("latest")
        self.head = max(head.number, self.next - 1)
        if self.ring and head.number == self.ring[-1][0] and head.hash != self.ring[-1][1]:
            return [self._fork()]
        last = head.number - self._confirmations
        if self.next > last:
            return []
        if last - self.next > _FAR:
            final = self._final(head)
            if final > self.next:
                return self._stretch(min(self.next + self._range - 1, final))
        return self._one()

    def _one(self) -> list[Block | Fork]:
        """The next block at the head."""
        number = self.next

        def read(node: RpcNode) -> Block | None:
            found = header(node, number)
            if found is None:
                raise NodeError(f"lags behind block {number}", key=node.name)
            if self._breaks(found):
                return None
            return Block(found, logs_of(node, found, self._wanted, self._blooms))

        block = self._nodes.ask(read)
        if block is None:
            return [self._fork()]
        self._took(block.header)
        return [block]

    def _stretch(self, last: int) -> list[Block | Fork]:
        """Final blocks from the next one to ``last``, or fewer."""
        first = self.next
        try:
            blocks = self._nodes.ask(lambda node: self._read_range(node, first, last))
        except CallError:
            if self._range == 1:
                return self._one()
            self._range //= 2
            return []
        if blocks is None:
            return [self._fork()]
        self._range = min(2 * self._range, self._max_range)
        for block in blocks:
            self._took(block.header)
        return [*blocks]

    def _read_range(self, node: RpcNode, first: int, last: int) -> list[Block] | None:
        logs = logs_between(node, first, last, self._wanted)
        by_block: dict[int, list[LogJson]] = {}
        for log in logs:
            by_block.setdefault(int(log.block_number, 16), []).append(log)
        if by_block and not first <= min(by_block) <= max(by_block) <= last:
            raise NodeError(f"gave logs outside of blocks {first} to {last}", key=node.name)
        heads = [found for found in headers(node, range(first, last + 1)) if found is not None]
        if len(heads) != last - first + 1:
            raise NodeError(f"does not have every block of {first} to {last}", key=node.name)
        if self._breaks(heads[0]):
            return None
        for before, after in pairwise(heads):
            if after.parent != before.hash:
                raise NodeError(f"gave block {after.number} of another fork", key=node.name)
        for one in heads:
            found = by_block.get(one.number, [])
            if any(log.block_hash is not None and bytes.fromhex(log.block_hash[2:]) != one.hash for log in found):
                raise NodeError(f"gave logs of another block for {one.number}", key=node.name)
            if not found and may_hold(one.bloom, self._blooms):
                prove_empty(node, one, self._wanted)
        return [Block(one, by_block.get(one.number, [])) for one in heads]

    def _fork(self) -> Fork:
        """Walk back to the newest block that still holds."""
        timestamp_s = 0
        while self.ring:
            number, known = self.ring[-1]
            found = self._nodes.ask(lambda node, number=number: _had(node, number))  # type: ignore[misc]
            timestamp_s = found.timestamp_s
            if found.hash == known:
                break
            self.ring.pop()
        else:
            raise StateError(
                f"the chain has gone back by more than {RING} blocks",
                hint="start anew from a final block: mevflow deploy NAME --fresh",
            )
        self.next = self.ring[-1][0] + 1
        self.forks += 1
        return Fork(self.next, self.forks, timestamp_s)

    def _breaks(self, found: Header) -> bool:
        return bool(self.ring) and found.parent != self.ring[-1][1]

    def _took(self, found: Header) -> None:
        self.ring.append((found.number, found.hash))
        self.next = found.number + 1

    def _header(self, tag: str) -> Header:
        def read(node: RpcNode) -> Header:
            found = header(node, tag)
            if found is None:
                raise NodeError(f"has no block {tag}", key=node.name)
            if found.number < self.next - 1 - RING:
                raise NodeError(f"lags: block {found.number} is its newest", key=node.name)
            return found

        return self._nodes.ask(read)

    def _final(self, head: Header) -> int:
        """The newest block that will not be taken back, as the chain says, or 64 below the head."""
        found = self._nodes.ask(lambda node: header(node, "finalized"))
        return found.number if found is not None else head.number - 2 * _FAR


def _had(node: RpcNode, number: int) -> Header:
    found = header(node, number)
    if found is None:
        raise NodeError(f"lags behind block {number}", key=node.name)
    return found


def state_of(follower: Follower) -> dict[str, object]:
    """What a snapshot holds of a follower."""
    return {"next": follower.next, "forks": follower.forks, "ring": [*follower.ring]}


def restore(follower: Follower, next_block: int, forks: int, ring: Sequence[tuple[int, bytes]]) -> None:
    """Go to where a snapshot was made."""
    follower.next, follower.forks = next_block, forks
    follower.ring.clear()
    follower.ring.extend((int(number), bytes(known)) for number, known in ring)
