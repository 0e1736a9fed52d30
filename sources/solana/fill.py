"""What a stream did not give, fetched from nodes by JSON-RPC, and the chain told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mevflow.operators.errors import StateError
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.solana.blocks import fetch_block, slots_between
from mevflow.sources.solana.slots import RING, SlotBlock, SlotChain, SlotStep

_ANEW = "start anew: mevflow deploy NAME --fresh"


@dataclass(frozen=True)
class Filler:
    """Used by one thread. ``programs``: transactions that name none of them are left out."""

    chain: SlotChain
    nodes: Nodes
    programs: Sequence[bytes]

    def fill(self, upto: int, stopped: Callable[[], bool]) -> Iterator[SlotStep]:
        """The confirmed blocks from the ring up to a slot, if the nodes have it by now; then what follows them.

        Raises UnreachableError and CallError, StateError where the chain has gone back too far.
        """
        chain = self.chain
        first = chain.ring[0].slot if chain.ring else chain.start
        if first is None:
            return
        known = self.nodes.ask(lambda node: slots_between(node, first, upto))
        if not known or known[-1] != upto:
            return  # not confirmed yet, or of a fork that never will be: the next block asks again
        if chain.ring:
            common = self._common(known)
            if common is None:
                yield chain.lost()
            known = [slot for slot in known if common is None or slot > common]
        for slot in known:
            if stopped():
                return
            yield from chain.fetched(self._block(slot))
        yield from chain.go_on()

    def _common(self, known: list[int]) -> int | None:
        """The newest slot that was given and that the chain still has, by its block's hash; None for none of them."""
        confirmed = set(known)
        for one in reversed(self.chain.ring):
            if one.slot in confirmed and (not one.hash or self._block(one.slot).hash == one.hash):
                return one.slot
        if len(self.chain.ring) == RING:
            raise StateError(f"the chain has gone back by more than {RING} slots", hint=_ANEW)
        return None

    def _block(self, slot: int) -> SlotBlock:
        return self.nodes.ask(lambda node: fetch_block(node, slot, self.programs))
