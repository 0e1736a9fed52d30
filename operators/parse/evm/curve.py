"""Logs of Curve's stable-swap pools -> rows.

An exchange states what moved, and what the pool has after it follows from its curve. What came or went otherwise, an
amplification that moves and another fee leave the pool in doubt at their place. After each of these events the pool's
contract can be asked (:attr:`Parsed.asked`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import CURVE_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_EXCHANGE = 0


def parse_curve(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of Curve's pools and in chain order; ``pools`` are their numbers."""
    kind = which(logs.topics[:, 0], CURVE_EVENTS)
    _exchanges(logs, pools, np.flatnonzero(kind == _EXCHANGE), out)
    changed = np.flatnonzero(kind > _EXCHANGE)
    out.updates(logs, changed, pools[changed], market.PoolUpdate.KIND_UNSPECIFIED)
    for row in np.flatnonzero(kind >= _EXCHANGE).tolist():
        out.ask(logs, row, int(pools[row]))


def _exchanges(logs: Logs, pools: NDArray[np.int64], rows: NDArray[np.intp], out: Parsed) -> None:
    """``sold_id, tokens_sold, bought_id, tokens_bought``."""
    good = (logs.topic_count[rows] == 2) & (logs.word_counts()[rows] == 4)
    out.lose(logs, rows[~good], pools, "malformed", "a TokenExchange has two topics and four words")
    rows = rows[good]
    data = logs.words(rows, 4)
    sold, sold_fits = words.integers(data[:, 0], 64)
    bought, bought_fits = words.integers(data[:, 2], 64)
    mint_in, sold_known = out.table.coins(pools[rows], sold)
    mint_out, bought_known = out.table.coins(pools[rows], bought)
    paid, paid_fits = words.unsigned(data[:, 1], 16)
    got, got_fits = words.unsigned(data[:, 3], 16)
    named = sold_fits & bought_fits & sold_known & bought_known & (sold != bought)
    moved = paid_fits & got_fits & paid.any(axis=1)
    out.lose(logs, rows[~named], pools, "malformed", "a TokenExchange of coins that the pool does not have")
    out.lose(logs, rows[named & ~moved], pools, "impossible_amount", "amounts that no exchange moves")
    good = named & moved
    chosen = pa.array(good)
    out.swaps(
        logs,
        rows[good],
        pools[rows[good]],
        (sold < bought)[good],
        mint_in=mint_in.filter(chosen),
        mint_out=mint_out.filter(chosen),
        amount_in=words.binary(paid[good]),
        amount_out=words.binary(got[good]),
    )
