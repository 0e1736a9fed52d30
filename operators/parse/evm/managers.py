"""What contracts that manage pools say of them -> rows of those pools: another fee, a pause.

aerodrome-finance/contracts, ``PoolFactory.sol``; velodrome-finance/slipstream, ``CLFactory.sol`` and its fee modules.
A factory's word counts for the pools that it made. Where it leaves
open what a swap pays now, or whether there are any, the pool is given as removed, and whoever can ask its contracts
states it anew (:attr:`Parsed.asked`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm.events import MANAGER_EVENTS, SET_CUSTOM_FEE, SLIPSTREAM_ONE, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.operators.parse.evm.pools import PoolTable
from mevflow.v1 import market_pb2 as market

#: ``PoolFactory.ZERO_FEE_INDICATOR`` says no fee; 0 says the factory's own.
_NO_FEE, _MOST_BPS, _PIPS_PER_BPS = 420, 10_000, 100


def parse_managers(logs: Logs, rows: NDArray[np.intp], table: PoolTable, out: Parsed) -> None:
    """Add rows of the pools of which ``rows`` of ``logs`` say something. Such logs are few: one at a time."""
    known = which(logs.topics[rows, 0], MANAGER_EVENTS) >= 0
    untold = logs.unread[rows] & (logs.topic_count[rows] == 0)
    for row in rows[known | untold].tolist():
        pools = table.managed.get(logs.address[row].tobytes())
        if pools is not None:
            _parse(logs, row, pools, table, out)


def _parse(logs: Logs, row: int, pools: list[int], table: PoolTable, out: Parsed) -> None:
    at = np.array([row], np.intp)
    topic = logs.topics[row, 0].tobytes()
    if topic in SLIPSTREAM_ONE and not logs.unread[row] and logs.topic_count[row] > 1:
        one = int(table.numbers(logs.topics[at, 1, 12:])[0])
        return _ask(logs, at, [one], out) if one in pools else None
    if logs.unread[row] or topic != SET_CUSTOM_FEE:
        return _ask(logs, at, pools, out)
    if logs.topic_count[row] != 2 or logs.word_counts()[row] != 1 or logs.topics[row, 1, :12].any():
        out.reject(logs, at, "malformed", "a SetCustomFee has two topics and one word")
        return _ask(logs, at, pools, out)
    named = table.numbers(logs.topics[at, 1, 12:])
    if int(named[0]) not in pools:
        return None
    said = int.from_bytes(logs.words(at, 1).tobytes(), "big")
    if said != _NO_FEE and not 0 < said < _MOST_BPS:
        return _ask(logs, at, named.tolist(), out)
    return out.updates(
        logs, at, named, market.PoolUpdate.KIND_FEE, fee_pips=0 if said == _NO_FEE else said * _PIPS_PER_BPS
    )


def _ask(logs: Logs, at: NDArray[np.intp], pools: list[int], out: Parsed) -> None:
    numbers = np.array(pools, np.int64)
    out.updates(logs, np.repeat(at, len(numbers)), numbers, market.PoolUpdate.KIND_REMOVE)
    for number in pools:
        out.ask(logs, int(at[0]), number)
