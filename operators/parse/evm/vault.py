"""Logs of Balancer v2's vault -> rows of the weighted pools that they name.

balancer/balancer-v2-monorepo ``IVault.sol``. A swap moves exactly what it states: all of its input stays in the pool,
the fee with it. What is joined, exited or managed leaves the pool in doubt at its place. After each of these events
the vault can be asked (:attr:`Parsed.asked`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import VAULT_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_SWAP = 0
#: The vault's field for a balance.
_BALANCE_BYTES = 14


def parse_vault(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of weighted pools and in chain order; ``pools`` are their numbers."""
    kind = which(logs.topics[:, 0], VAULT_EVENTS)
    _swaps(logs, pools, np.flatnonzero(kind == _SWAP), out)
    changed = np.flatnonzero(kind > _SWAP)
    out.updates(logs, changed, pools[changed], market.PoolUpdate.KIND_UNSPECIFIED)
    for row in np.flatnonzero(kind >= _SWAP).tolist():
        out.ask(logs, row, int(pools[row]))


def _swaps(logs: Logs, pools: NDArray[np.int64], rows: NDArray[np.intp], out: Parsed) -> None:
    """Topics: pool, token in, token out; data: what came in and what went out."""
    good = (logs.topic_count[rows] == 4) & (logs.word_counts()[rows] == 2)
    out.lose(logs, rows[~good], pools, "malformed", "a Swap of the vault has four topics and two words")
    rows = rows[good]
    data, tokens = logs.words(rows, 2), logs.topics[rows, 2:4, 12:]
    sold, bought = (out.table.numbered(pools[rows], tokens[:, side]) for side in (0, 1))
    paid, paid_fits = words.unsigned(data[:, 0], 16)
    got, got_fits = words.unsigned(data[:, 1], 16)
    named = (sold >= 0) & (bought >= 0) & (sold != bought)
    moved = paid_fits & got_fits & ~(paid[:, _BALANCE_BYTES:].any(axis=1) | got[:, _BALANCE_BYTES:].any(axis=1))
    out.lose(logs, rows[~named], pools, "malformed", "a Swap of tokens that the pool does not have")
    out.lose(logs, rows[named & ~moved], pools, "impossible_amount", "an amount of more than the vault holds")
    good = named & moved
    out.swaps(
        logs,
        rows[good],
        pools[rows[good]],
        (sold < bought)[good],
        mint_in=words.binary(tokens[good, 0]),
        mint_out=words.binary(tokens[good, 1]),
        amount_in=words.binary(paid[good]),
        amount_out=words.binary(got[good]),
    )
