"""Logs of Uniswap v4's pool manager -> rows of the pools that they name.

Uniswap/v4-core ``IPoolManager.sol``, ``IProtocolFees.sol``. A Swap states price, liquidity and tick after it, and the
fee that it paid: the pool's and the protocol's together. A donation is a gift to positions and changes nothing that a
swap depends on. Only pools without hooks and with a fee of their own are known here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.uniswap_v4 import swap_fee
from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.concentrated import parse_created, parse_swaps, shaped, tick_ranges
from mevflow.operators.parse.evm.events import SINGLETON_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_INITIALIZE, _SWAP, _LIQUIDITY, _PROTOCOL_FEE = range(4)
_KIND = market.PoolUpdate


def parse_singleton(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of v4 pools and in chain order; ``pools`` are their numbers."""
    kind = which(logs.topics[:, 0], SINGLETON_EVENTS)
    parse_swaps(logs, pools, kind == _SWAP, 6, out, traders=True)
    _liquidity(logs, pools, np.flatnonzero(kind == _LIQUIDITY), out)
    parse_created(logs, pools, np.flatnonzero(kind == _INITIALIZE), 4, 5, out, own_fee=True)
    _protocol_fee(logs, pools, np.flatnonzero(kind == _PROTOCOL_FEE), out)


def _liquidity(logs: Logs, pools: NDArray[np.int64], rows: NDArray[np.intp], out: Parsed) -> None:
    rows = shaped(logs, pools, rows, 3, 4, "ModifyLiquidity", out)
    data = logs.words(rows, 4)
    lower, upper, ranged = tick_ranges(data[:, 0], data[:, 1], out.spacing[pools[rows]])
    delta, fits = words.signed(data[:, 2], 16)
    fits &= ranged
    out.lose(logs, rows[~fits], pools, "malformed", "a range or an amount that no position has", _KIND.KIND_LIQUIDITY)
    good = fits & delta.any(axis=1)  # a change of nothing only collects fees
    rows = rows[good]
    out.updates(
        logs,
        rows,
        pools[rows],
        _KIND.KIND_LIQUIDITY,
        signer=words.binary(logs.topics[rows, 2, 12:]),
        tick_lower=lower[good],
        tick_upper=upper[good],
        liquidity_delta=words.binary(delta[good]),
    )


def _protocol_fee(logs: Logs, pools: NDArray[np.int64], rows: NDArray[np.intp], out: Parsed) -> None:
    """The protocol's fee: 12 bits for token 0 coming in, 12 for token 1. A pool with two fees is closed.

    Its contract is asked at the end of the block: one that was closed may be open again.
    """
    good = (logs.topic_count[rows] == 2) & (logs.word_counts()[rows] == 1)
    out.reject(logs, rows[~good], "malformed", "a ProtocolFeeUpdated has two topics and one word")
    for row, readable in zip(rows.tolist(), good.tolist(), strict=True):
        at = np.array([row], np.intp)
        said = int.from_bytes(logs.words(at, 1).tobytes(), "big") if readable else -1
        one, other = said & 0xFFF, said >> 12
        if one == other:
            own = int(out.own_fee[pools[row]])
            out.updates(logs, at, pools[at], _KIND.KIND_FEE, fee_pips=swap_fee(own, one))
        else:
            out.updates(logs, at, pools[at], _KIND.KIND_REMOVE)
        out.ask(logs, row, int(pools[row]))
