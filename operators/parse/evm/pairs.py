"""Logs of Uniswap v2 pairs and their forks -> rows: the reserves after each event are the pair's own ``Sync``.

Uniswap/v2-core ``UniswapV2Pair.sol``: ``_update`` logs ``Sync`` right before ``Swap``, ``Mint`` or ``Burn``, in the
same call, so the two log indices are neighbours. A ``Sync`` without a swap states the reserves as an update; so does
a flash swap that pays back the token it took, which exchanges nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import PAIR_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_SYNC, _SWAP = 0, 1


def parse_pairs(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of pairs and in chain order; ``pools`` are their numbers."""
    kind = which(logs.topics[:, 0], PAIR_EVENTS)
    counts = logs.word_counts()
    sync = np.flatnonzero(kind == _SYNC)
    good = counts[sync] == 2
    out.lose(logs, sync[~good], pools, "malformed", "a Sync has two words")
    sync = sync[good]
    reserves = logs.words(sync, 2)
    fits = ~(reserves[:, :, :18].any(axis=(1, 2)))  # 112 bits
    out.lose(logs, sync[~fits], pools, "malformed", "a reserve of a Sync is above 112 bits")
    sync, reserves = sync[fits], reserves[fits]
    swap = np.flatnonzero(kind == _SWAP)
    # The Sync of each swap: the log right before it, of the same pair and transaction.
    before = np.searchsorted(sync, swap) - 1
    at = sync[np.maximum(before, 0)] if len(sync) else np.zeros(len(swap), np.int64)
    paired = (
        (before >= 0)
        & (pools[at] == pools[swap])
        & (logs.block[at] == logs.block[swap])
        & (logs.tx_index[at] == logs.tx_index[swap])
        & (logs.log_index[at] + 1 == logs.log_index[swap])
        if len(sync)
        else np.zeros(len(swap), np.bool_)
    )
    out.lose(logs, swap[~paired], pools, "no_sync", "a swap without the pair's Sync right before it")
    swap, before = swap[paired], before[paired]
    good = counts[swap] == 4
    out.reject(logs, swap[~good], "malformed", "a Swap has four words")
    swap, before = swap[good], before[good]
    net, negative, net_fits, exchanged = _net(logs.words(swap, 4))
    fits = net_fits.all(axis=1)
    out.reject(logs, swap[~fits], "impossible_amount", "an amount of more than 128 bits")
    traded = fits & exchanged
    swapped = np.zeros(len(sync), np.bool_)
    swapped[before[traded]] = True
    a_to_b = ~negative[traded, 0]
    rows, known = swap[traded], before[traded]
    low = words.unsigned(reserves.reshape(-1, 32), 16)[0].reshape(len(sync), 2, 16)
    first, second = net[traded, 0], net[traded, 1]
    side = a_to_b[:, None]
    out.swaps(
        logs,
        rows,
        pools[rows],
        a_to_b,
        amount_in=words.binary(np.where(side, first, second)),
        amount_out=words.binary(np.where(side, second, first)),
        reserve_a=words.binary(low[known, 0]),
        reserve_b=words.binary(low[known, 1]),
    )
    alone = np.flatnonzero(~swapped)
    out.updates(
        logs,
        sync[alone],
        pools[sync[alone]],
        market.PoolUpdate.KIND_SNAPSHOT,
        reserve_a=words.binary(low[alone, 0]),
        reserve_b=words.binary(low[alone, 1]),
    )


def _net(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of ``amount0In, amount1In, amount0Out, amount1Out``: |in - out| of both tokens (rows, 2, 16), which are
    negative, which fit, and whether one comes in while the other goes out.
    """
    limbs = np.ascontiguousarray(data[:, :, ::-1]).view("<u8")  # (rows, 4, 4), least significant first
    fits = np.logical_not(limbs[:, :, 2:].any(axis=2))
    came, went = limbs[:, :2], limbs[:, 2:]
    negative = (came[:, :, 1] < went[:, :, 1]) | ((came[:, :, 1] == went[:, :, 1]) & (came[:, :, 0] < went[:, :, 0]))
    more = np.where(negative[:, :, None], went, came)
    less = np.where(negative[:, :, None], came, went)
    net = np.empty((len(data), 2, 2), np.uint64)
    net[:, :, 0] = more[:, :, 0] - less[:, :, 0]
    net[:, :, 1] = more[:, :, 1] - less[:, :, 1] - (more[:, :, 0] < less[:, :, 0])
    exchanged = net[:, 0].any(axis=1) & net[:, 1].any(axis=1) & (negative[:, 0] != negative[:, 1])
    both: NDArray[np.bool_] = fits[:, :2] & fits[:, 2:]
    return net.view(np.uint8).reshape(len(data), 2, 16), negative, both, exchanged
