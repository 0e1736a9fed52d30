"""Several nodes of one chain as one: the first that works is asked, one that fails rests and is tried again later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mevflow.operators.errors import UnreachableError
from mevflow.sources.evm.rpc import EndpointSettings, NodeError, RpcNode

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

    def __init__(self, endpoints: Sequence[EndpointSettings]) -> None:
        self.nodes = [RpcNode(endpoint) for endpoint in endpoints]
        self._rests = [_Rest() for _ in endpoints]
        self._preferred = 0

    def ask(self, question: Callable[[RpcNode], Answer]) -> Answer:
        """What the first node answers that can. Raises UnreachableError when none can; what else it raises passes.

        ``question`` raises NodeError for an answer that it does not believe, so that the next node is asked.
        """
        now = time.monotonic()
        order = [(self._preferred + i) % len(self.nodes) for i in range(len(self.nodes))]
        awake = [i for i in order if self._rests[i].until <= now]
        # When all of them rest, the one that has rested longest is tried: a chain must not stop for a full minute.
        for i in awake or sorted(order, key=lambda one: self._rests[one].until)[:1]:
            rest = self._rests[i]
            try:
                answer = question(self.nodes[i])
            except NodeError as wrong:
                rest.seconds = min(LONGEST_REST_S, max(FIRST_REST_S, 2 * rest.seconds))
                rest.until, rest.why = time.monotonic() + rest.seconds, str(wrong)
                continue
            rest.seconds, rest.why, self._preferred = 0.0, "", i
            return answer
        raise UnreachableError(
            "no node answers: " + "; ".join(rest.why for rest in self._rests if rest.why),
            hint="mevflow collect check URL",
        )

    def close(self) -> None:
        """Let go of all connections."""
        for node in self.nodes:
            node.close()
