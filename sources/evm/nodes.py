"""Several nodes of one chain as one: the first that works is asked, one that fails rests and is tried again later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.sources.evm.rpc import CallError, EndpointSettings, NodeError, RpcNode

Answer = TypeVar("Answer")
#: How long a node rests after its first failure in a row, and at most. Seconds.
FIRST_REST_S, LONGEST_REST_S = 0.5, 60.0


@dataclass
class _Rest:
    until: float = 0.0
    seconds: float = 0.0
    why: str = ""


class Nodes:
    """Used by one thread."""

    def __init__(self, endpoints: Sequence[EndpointSettings], chain_id: int | None = None) -> None:
        """``chain_id``: nodes of another chain are not asked anything else (None: of any chain)."""
        self._chain_id = chain_id
        self._checked: set[int] = set()
        self._strange: set[int] = set()  # nodes of another chain
        self.nodes = [RpcNode(endpoint) for endpoint in endpoints]
        self._rests = [_Rest() for _ in endpoints]
        self._preferred = 0

    def ask(self, question: Callable[[RpcNode], Answer]) -> Answer:
        """What the first node answers that can. What else it raises passes.

        Raises UnreachableError when none can, UsageError when all are of another chain.

        ``question`` raises NodeError for an answer that it does not believe, so that the next node is asked.
        """
        now = time.monotonic()
        order = [(self._preferred + i) % len(self.nodes) for i in range(len(self.nodes))]
        awake = [i for i in order if self._rests[i].until <= now]
        # When all of them rest, the one that has rested longest is tried: a chain must not stop for a full minute.
        for i in awake or sorted(order, key=lambda one: self._rests[one].until)[:1]:
            rest = self._rests[i]
            try:
                if i not in self._checked:
                    self._check(i)
                answer = question(self.nodes[i])
            except NodeError as wrong:
                rest.seconds = min(LONGEST_REST_S, max(FIRST_REST_S, 2 * rest.seconds))
                rest.until, rest.why = time.monotonic() + rest.seconds, str(wrong)
                self._checked.discard(i)  # what answers at the address after an outage may be another node
                continue
            rest.seconds, rest.why, self._preferred = 0.0, "", i
            return answer
        raise UnreachableError(
            "no node answers: " + "; ".join(rest.why for rest in self._rests if rest.why),
            hint="mevflow collect check URL",
        )

    def _check(self, i: int) -> None:
        """Raise NodeError when a node is one of another chain, UsageError when all of them are."""
        node = self.nodes[i]
        if self._chain_id is None:
            return
        try:
            found = int(msgspec.json.decode(node.call("eth_chainId"), type=str), 16)
        except (CallError, msgspec.DecodeError, ValueError) as wrong:
            raise NodeError(f"does not say which chain it is of: {wrong}", key=node.name) from wrong
        if found != self._chain_id:
            self._strange.add(i)
            why = f"is of the chain with id {found}, not {self._chain_id}"
            if len(self._strange) == len(self.nodes):
                raise UsageError(why, hint="name that chain (`chain:`), or another endpoint", key=node.name)
            raise NodeError(why, key=node.name)
        self._checked.add(i)
        self._strange.discard(i)

    def close(self) -> None:
        """Let go of all connections."""
        for node in self.nodes:
            node.close()
