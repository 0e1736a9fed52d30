"""The path of a decision as one trace: the calls of all nodes from the poll that released it to the next poll.

One worker runs a shard, so what is called between two polls of a source is called for the first of them. A decision
whose rows waited for the watermark shows the poll that brought it, not the one that brought the rows; its attributes
have the chain's own time, and ``mevflow explain`` the records that it stands on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.metrics.tracing import Exporter, Span
from mevflow.v1.market_pb2 import Chain

#: Of one stretch between two polls.
_MOST_CALLS, _MOST_TRACES = 256, 16
_ID_BYTES = 16
_TOLD = (
    "topology",
    "slot",
    "timestamp_us",
    "policy",
    "arm",
    "propensity",
    "policy_version",
    "model_version",
    "attempt",
)


class DecisionTraces:
    """Of one shard. ``is_source``: whether a node is polled.

    A decision is chosen by its id: by every shard, restart and replay the same ones.
    """

    def __init__(self, exporter: Exporter, sample: float, is_source: Callable[[str], bool]) -> None:
        self._exporter, self._is_source = exporter, is_source
        self._below = min(int(sample * 2**64), 2**64 - 1)
        self._spans: deque[Span] = deque(maxlen=_MOST_CALLS)
        self._chosen: list[dict[str, Any]] = []

    def called(self, node: str, seconds: float) -> None:
        """``node`` has worked until now."""
        if self._is_source(node):
            self._hand_over()
        now = time.time_ns()
        self._spans.append(Span(node, now - int(seconds * 1e9), now))

    def decided(self, batch: pa.RecordBatch) -> None:
        """A stage has given decisions."""
        ids = batch.column("decision_id")
        raw = b"".join(value for value in ids.to_pylist() if len(value) == _ID_BYTES)
        if len(raw) != _ID_BYTES * batch.num_rows:
            return  # of a plug-in with ids of its own
        drawn = np.frombuffer(raw, ">u8")[1::2]
        for row in np.flatnonzero(drawn <= self._below)[: _MOST_TRACES - len(self._chosen)].tolist():
            self._chosen.append(batch.slice(row, 1).to_pylist()[0])

    def _hand_over(self) -> None:
        """Give the exporter what was decided since the last poll."""
        for row in self._chosen:
            number = row.get("chain")
            told = {f"mevflow.{name}": row[name] for name in _TOLD if row.get(name) is not None}
            told["mevflow.chain"] = Chain.Name(number) if number in Chain.values() else str(number)
            told["mevflow.decision_id"] = row["decision_id"].hex()
            told["mevflow.opportunity_id"] = (row.get("opportunity_id") or b"").hex()
            self._exporter.trace(int.from_bytes(row["decision_id"], "big"), "decision", told, list(self._spans))
        self._chosen.clear()
        self._spans.clear()

    def close(self) -> None:
        """Hand over what is left, and send it."""
        if self._spans:
            self._hand_over()
        self._exporter.close()
