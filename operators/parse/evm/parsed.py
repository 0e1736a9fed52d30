"""What a stretch of logs came to: swaps, updates and rejected logs, each in chain order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.parse.evm.batches import batch
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.pools import PoolTable
from mevflow.operators.parse.evm.words import binary
from mevflow.v1 import market_pb2 as market


@dataclass(frozen=True, slots=True)
class Rejected:
    """A log that cannot be used: where it stands, and why. ``row`` is its row in the logs given."""

    row: int
    reason: str
    detail: str


class Parsed:
    """Gathers columns from the parsers of single venues."""

    def __init__(self, chain: int, table: PoolTable, timestamps_us: NDArray[np.int64]) -> None:
        """``timestamps_us`` of every log given, by row."""
        self.table = table
        self._chain, self._times = chain, timestamps_us
        self._parts: dict[str, list[tuple[Any, pa.RecordBatch]]] = {"mevflow.v1.Swap": [], "mevflow.v1.PoolUpdate": []}
        self.own_fee = np.array([*(pool.fee_pips for pool in table.pools), 0], np.int64)
        self.spacing = np.array([*(pool.tick_spacing for pool in table.pools), 0], np.int64)
        self.rejected: list[Rejected] = []
        #: Pools of which only their contracts can say what they are now, by the block of the event.
        self.asked: dict[int, set[bytes]] = {}

    def reject(self, logs: Logs, rows: NDArray[np.intp], reason: str, detail: str) -> None:
        """Set logs aside."""
        self.rejected += [Rejected(int(logs.position[row]), reason, detail) for row in rows.tolist()]

    def ask(self, logs: Logs, row: int, pool: int) -> None:
        """Only its contracts can say what a pool is after the block of a log."""
        self.asked.setdefault(int(logs.block[row]), set()).add(self.table.pools[pool].address)

    def lose(
        self,
        logs: Logs,
        rows: NDArray[np.intp],
        pools: NDArray[np.int64],
        reason: str,
        detail: str,
        kind: int = market.PoolUpdate.KIND_UNSPECIFIED,
    ) -> None:
        """Set logs aside that changed their pool: what it is now nobody knows, as an update of ``kind`` says.

        KIND_LIQUIDITY: its ticks neither.
        """
        self.reject(logs, rows, reason, detail)
        self.updates(logs, rows, pools[rows], kind)

    def swaps(
        self, logs: Logs, rows: NDArray[np.intp], pools: NDArray[np.int64], a_to_b: NDArray[np.bool_], **state: Any
    ) -> None:
        """Add swaps; ``state`` is amounts and the state after."""
        if not len(rows):
            return
        told = self.table.columns(pools)
        side = pa.array(a_to_b)
        columns = {
            **self._where(logs, rows),
            "venue": told["venue"],
            "pool": told["pool"],
            "fee_pips": told["fee_pips"],
            "mint_in": pa.compute.if_else(side, told["mint_a"], told["mint_b"]),
            "mint_out": pa.compute.if_else(side, told["mint_b"], told["mint_a"]),
            "a_to_b": side,
            **state,
        }
        self._add("mevflow.v1.Swap", logs, rows, columns)

    def updates(self, logs: Logs, rows: NDArray[np.intp], pools: NDArray[np.int64], kind: int, **state: Any) -> None:
        """Add updates of one kind."""
        if not len(rows):
            return
        columns = {**self._where(logs, rows), **self.table.columns(pools), "kind": kind, **state}
        self._add("mevflow.v1.PoolUpdate", logs, rows, columns)

    def liquidations(self, logs: Logs, rows: NDArray[np.intp], told: dict[str, Any]) -> None:
        """Add liquidations by lending markets, which are no pools."""
        if not len(rows):
            return
        market_of = {"pool": binary(logs.address[rows]), "kind": market.PoolUpdate.KIND_LIQUIDATION}
        self._add("mevflow.v1.PoolUpdate", logs, rows, {**self._where(logs, rows), **market_of, **told})

    def batches(self) -> list[pa.RecordBatch]:
        """Updates, then swaps; no batch is empty."""
        found = []
        for message in ("mevflow.v1.PoolUpdate", "mevflow.v1.Swap"):
            parts = self._parts[message]
            if not parts:
                continue
            keys = np.concatenate([key for key, _ in parts])
            whole = pa.Table.from_batches([part for _, part in parts]).combine_chunks().to_batches()[0]
            order = np.argsort(keys, kind="stable")
            found.append(whole if (order[1:] > order[:-1]).all() else whole.take(pa.array(order)))
        return found

    def _where(self, logs: Logs, rows: NDArray[np.intp]) -> dict[str, Any]:
        return {
            "chain": self._chain,
            "slot": logs.block[rows],
            "tx_index": logs.tx_index[rows],
            "ix_index": logs.log_index[rows],
            "timestamp_us": self._times[logs.position[rows]],
            "signature": binary(logs.tx_hash[rows]),
        }

    def _add(self, message: str, logs: Logs, rows: NDArray[np.intp], columns: dict[str, Any]) -> None:
        # Logs come in chain order, so their place among those given is their place in the chain.
        self._parts[message].append((logs.position[rows], batch(message, len(rows), columns)))
