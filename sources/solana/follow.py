"""Follow Solana by one Geyser stream after another, and by JSON-RPC where they do not give everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mevflow.operators.errors import StateError, UnreachableError
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.geyser import document
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import CallError
from mevflow.sources.solana.fill import Filler
from mevflow.sources.solana.slots import (
    MOST_TRANSACTIONS,
    GivenSlot,
    Missing,
    SlotBlock,
    SlotChain,
    SlotsGone,
    SlotStep,
    SlotTransaction,
)
from mevflow.sources.solana.state import ReadPool, read_pools
from mevflow.sources.solana.stream import GeyserEndpoint, GeyserStream, StreamError, subscription
from mevflow.v1 import geyser_pb2 as geyser

_FIRST_REST_S, _LONGEST_REST_S = 0.25, 30.0
#: gRPC's codes for what a node cannot give from that slot on (they differ by version): it is asked for the newest.
_NO_HISTORY = frozenset({"OUT_OF_RANGE", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "INTERNAL", "NOT_FOUND", "UNKNOWN"})

_LAST_SLOT, _LAST_INDEX = (1 << 63) - 1, (1 << 32) - 1

#: What happens: a slot, slots that are gone, or the state of pools at the end of an earlier slot.
Happening: TypeAlias = SlotBlock | SlotsGone | tuple[ReadPool, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """What happened, and where the chain stands after it.

    ``stated`` is the newest slot of which pools were stated; None: they are still to be.
    """

    happening: Happening
    time_s: int
    fork: int
    ring: list[GivenSlot]
    stated: int | None


class SlotFollower:
    """Used by one thread. ``take`` is called with everything that happens, in order."""

    def __init__(
        self,
        endpoints: Sequence[GeyserEndpoint],
        nodes: Nodes | None,
        start: int | None,
        programs: Sequence[bytes],
        pools: Sequence[bytes],
        commitment: str,
        take: Callable[[Followed], None],
    ) -> None:
        self.chain = SlotChain(start=start)
        self.stated: int | None = None if pools else -1
        #: Why the stream ended the last time, or why nothing can be fetched.
        self.trouble = ""
        self._endpoints, self._nodes, self._take_in = endpoints, nodes, take
        self._programs, self._pools, self._commitment = programs, pools, commitment
        self._states: tuple[ReadPool, ...] = ()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Have :meth:`run` return soon."""
        self._stop.set()

    def run(self) -> None:
        """Follow until stopped. Raises MevflowError when it cannot go on."""
        rest, turn, history = 0.0, 0, True
        while not self._stop.is_set():
            before = self.chain.tip
            asked = self._from_slot() if history else None
            try:
                self._follow(self._endpoints[turn % len(self._endpoints)], asked)
            except StreamError as wrong:
                self.trouble = str(wrong)
                if asked is not None and self.chain.tip == before and wrong.code in _NO_HISTORY:
                    history = False  # it does not go back so far: from its newest slot on, the rest by JSON-RPC
                    continue
                turn += 1
            except UnreachableError as wrong:
                self.trouble = str(wrong)
            history = True
            rest = 0.0 if self.chain.tip != before else min(_LONGEST_REST_S, max(_FIRST_REST_S, 2 * rest))
            self._stop.wait(rest)

    def _from_slot(self) -> int | None:
        tip = self.chain.tip
        return tip.slot + 1 if tip else self.chain.start

    def _follow(self, endpoint: GeyserEndpoint, from_slot: int | None) -> None:
        """Take what one stream says. Raises StreamError when it ends."""
        self.chain.connected(from_slot)
        stream = GeyserStream(endpoint, subscription(self._programs, self._commitment, from_slot))
        try:
            for update in stream.updates(self._stop):
                if not _possible(update):
                    raise StreamError("told of a slot or a place that there cannot be", endpoint.name, "IMPOSSIBLE")
                self._do(self._told(update, endpoint))
        finally:
            stream.close()

    def _told(self, update: geyser.SubscribeUpdate, endpoint: GeyserEndpoint) -> list[SlotStep]:
        """What an update means for the chain.

        Raises StreamError for a first block whose time is not known, and for more transactions than a slot can have.
        """
        chain, kind = self.chain, update.WhichOneof("update")
        if kind == "transaction":
            one = update.transaction
            if one.transaction.is_vote:
                return []
            if chain.is_full(one.slot):
                raise _crowded(one.slot, endpoint)
            return chain.transaction(one.slot, _transaction(one.transaction))
        if kind == "block_meta":
            meta = update.block_meta
            return chain.block(
                SlotBlock(
                    meta.slot, meta.parent_slot, meta.blockhash, meta.parent_blockhash, self._time_s(meta, endpoint)
                )
            )
        if kind == "block":
            block = update.block
            if len(block.transactions) > MOST_TRANSACTIONS:
                raise _crowded(block.slot, endpoint)
            listed = tuple(_transaction(one) for one in block.transactions if not one.is_vote)
            time_s = self._time_s(block, endpoint)
            return chain.block(
                SlotBlock(block.slot, block.parent_slot, block.blockhash, block.parent_blockhash, time_s, listed)
            )
        if kind == "slot" and update.slot.status in (geyser.SLOT_CONFIRMED, geyser.SLOT_FINALIZED):
            return chain.confirm(update.slot.slot)
        if kind == "slot" and update.slot.status == geyser.SLOT_DEAD:
            return chain.dead(update.slot.slot)
        return []

    def _time_s(self, block: geyser.BlockMetaUpdate | geyser.BlockUpdate, endpoint: GeyserEndpoint) -> int:
        """A block's time; where its node does not tell it, that of the newest slot, before which it cannot be."""
        if block.HasField("block_time") and 0 <= block.block_time.timestamp < 1 << 32:
            return block.block_time.timestamp
        if self.chain.tip is None:
            raise StreamError("does not tell the time of its first block", endpoint.name, "UNTIMED")
        return self.chain.tip.time_s

    def _do(self, steps: Iterable[SlotStep]) -> None:
        """Give the steps; fetch what is missing between them."""
        for step in steps:
            if isinstance(step, Missing):
                self._fill(step.slot)
            elif isinstance(step, SlotBlock):
                self._state_pools(step)
                self._give(step, step.time_s, step.slot + 1)
            else:
                if self._pools and max([self.stated or 0, *(one.slot for one in self._states)]) >= step.first:
                    self._states, self.stated = (), None  # they are of a fork that is gone
                self._give(step, step.time_s, step.first, step.fork)

    def _give(self, happening: Happening, time_s: int, below: int, fork: int = 0) -> None:
        """``below``: the chain stands before that slot now."""
        ring = [one for one in self.chain.ring if one.slot < below]
        self._take_in(Followed(happening, time_s, fork or self.chain.forks, ring, self.stated))

    def _fill(self, upto: int) -> None:
        if self._nodes is None:
            raise StateError(
                f"the stream did not give slot {upto} and what lies before it",
                hint="name nodes that have it (`rpc:`), or start anew: mevflow deploy NAME --fresh",
            )
        try:
            self._do(Filler(self.chain, self._nodes, self._programs).fill(upto, self._stop.is_set))
        except (UnreachableError, CallError) as wrong:
            self.trouble = str(wrong)

    def _state_pools(self, block: SlotBlock) -> None:
        """Before a slot is given, the pools' states at the end of those before it."""
        if self.stated is None and not self._states:
            self._states = self._read_states(block.parent)
        due = tuple(one for one in self._states if one.slot < block.slot)
        if not due:
            return
        self._states = tuple(one for one in self._states if one.slot >= block.slot)
        if not self._states:
            self.stated = max(one.slot for one in due)
        self._give(due, block.time_s, block.slot)

    def _read_states(self, least: int) -> tuple[ReadPool, ...]:
        """The pools at the end of slot ``least`` or later. Waits until a node is there."""
        assert self._nodes is not None
        while not self._stop.is_set():
            try:
                return tuple(self._nodes.ask(lambda node: read_pools(node, self._pools, least)))
            except (UnreachableError, CallError) as wrong:
                self.trouble = str(wrong)
                self._stop.wait(_FIRST_REST_S)
        return ()


def _possible(update: geyser.SubscribeUpdate) -> bool:
    """Whether places are such as rows can have: what a node sends is not trusted."""
    kind = update.WhichOneof("update")
    if kind is None or kind in ("ping", "pong"):
        return True
    told = getattr(update, kind)
    listed = [told.transaction] if kind == "transaction" else told.transactions if kind == "block" else []
    return told.slot <= _LAST_SLOT and all(one.index <= _LAST_INDEX for one in listed)


def _crowded(slot: int, endpoint: GeyserEndpoint) -> StreamError:
    return StreamError(f"told of more than {MOST_TRANSACTIONS:,} transactions in slot {slot}", endpoint.name, "CROWDED")


def _transaction(told: geyser.TransactionInfo) -> SlotTransaction:
    try:
        read = document(told)
    except ParseError:
        read = {}  # no transaction: the parser says so, at its place
    return SlotTransaction(told.index, told.signature, read)
