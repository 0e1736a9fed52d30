"""Logs of Uniswap v2 pairs and their forks -> rows: the reserves after each event are the pair's own ``Sync``.

Uniswap/v2-core ``UniswapV2Pair.sol``: ``_update`` logs ``Sync`` right before ``Swap``, ``Mint`` or ``Burn``, in the
same call, so the two log indices are neighbours. A ``Sync`` without a swap states the reserves as an update; so does
a flash swap that pays back the token it took, which exchanges nothing.

Aerodrome's and Velodrome's pools, volatile and stable (aerodrome-finance/contracts, ``Pool.sol``), do the same with
other events.
Their factory may change a fee without a word, but each swap logs what it paid (``Fees``, right before its ``Sync``):
rows tell the fee that this shows, and none where it shows none. A ``Sync`` without a swap does not say that swaps are
allowed (their factory may have paused them), so it is no ``KIND_SNAPSHOT``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import PAIR_EVENTS, VOLATILE_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_SYNC, _SWAP, _FEES = range(3)
#: Volatile pools' fees are whole basis points of the input, rounded down: below this input several give one amount.
_BPS, _LEAST_INPUT = 10_000, 1e6


def parse_pairs(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of pairs and in chain order; ``pools`` are their numbers."""
    _parse(logs, pools, out, which(logs.topics[:, 0], PAIR_EVENTS), 14, None)


def parse_volatile(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """The same of volatile pools."""
    kind = which(logs.topics[:, 0], VOLATILE_EVENTS)
    _parse(logs, pools, out, kind, 16, np.flatnonzero((kind == _FEES) & (logs.word_counts() == 2)))


def _parse(
    logs: Logs,
    pools: NDArray[np.int64],
    out: Parsed,
    kind: NDArray[np.int64],
    width: int,
    fees: NDArray[np.intp] | None,
) -> None:
    """``width`` in bytes of a reserve; ``fees`` are the logs of fees paid, None where a pool's fee never changes."""
    counts = logs.word_counts()
    sync = np.flatnonzero(kind == _SYNC)
    good = counts[sync] == 2
    out.lose(logs, sync[~good], pools, "malformed", "a Sync has two words")
    sync = sync[good]
    reserves = logs.words(sync, 2)
    fits = ~(reserves[:, :, : 32 - width].any(axis=(1, 2)))
    out.lose(logs, sync[~fits], pools, "malformed", f"a reserve of a Sync is above {8 * width} bits")
    sync, reserves = sync[fits], reserves[fits]
    swap = np.flatnonzero(kind == _SWAP)
    before, paired = _right_before(logs, pools, sync, swap)
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
    paid, told = np.where(side, first, second), {}
    if fees is not None:
        told["fee_pips"] = _fee_paid(logs, pools, fees, sync[known], a_to_b, paid)
    out.swaps(
        logs,
        rows,
        pools[rows],
        a_to_b,
        amount_in=words.binary(paid),
        amount_out=words.binary(np.where(side, second, first)),
        reserve_a=words.binary(low[known, 0]),
        reserve_b=words.binary(low[known, 1]),
        **told,
    )
    alone = np.flatnonzero(~swapped)
    out.updates(
        logs,
        sync[alone],
        pools[sync[alone]],
        market.PoolUpdate.KIND_SNAPSHOT if fees is None else market.PoolUpdate.KIND_UNSPECIFIED,
        reserve_a=words.binary(low[alone, 0]),
        reserve_b=words.binary(low[alone, 1]),
    )


def _right_before(
    logs: Logs, pools: NDArray[np.int64], earlier: NDArray[np.intp], later: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Of each of ``later``: the place in ``earlier`` of the last log before it, and whether that is its neighbour, of
    the same pool and transaction."""
    before = np.searchsorted(earlier, later) - 1
    if not len(earlier):
        return before, np.zeros(len(later), np.bool_)
    at = earlier[np.maximum(before, 0)]
    neighbours: NDArray[np.bool_] = (
        (before >= 0)
        & (pools[at] == pools[later])
        & (logs.block[at] == logs.block[later])
        & (logs.tx_index[at] == logs.tx_index[later])
        & (logs.log_index[at] + 1 == logs.log_index[later])
    )
    return before, neighbours


def _fee_paid(
    logs: Logs,
    pools: NDArray[np.int64],
    fees: NDArray[np.intp],
    sync: NDArray[np.intp],
    a_to_b: NDArray[np.bool_],
    paid: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """The fee in millionths that each swap of ``sync`` paid; 0 where its event, or its input, does not tell one."""
    before, found = _right_before(logs, pools, fees, sync)
    told = np.zeros(len(sync), np.uint32)
    if not found.any():
        return told
    amounts = logs.words(fees[before[found]], 2)
    taken = np.where(a_to_b[found, None], amounts[:, 0], amounts[:, 1])[:, ::-1]
    given, kept = _floats(paid[found]), _floats(np.ascontiguousarray(taken[:, :16]))
    share = np.rint(kept / np.maximum(given, 1.0) * _BPS)
    certain = (given >= _LEAST_INPUT) & (share < _BPS) & ~taken[:, 16:].any(axis=1)
    certain &= np.abs(share * given / _BPS - kept) <= 1.0 + given * 1e-12
    told[found] = np.where(certain, share, 0).astype(np.uint32) * 100
    return told


def _floats(low: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Little-endian numbers of 128 bits."""
    limbs = np.ascontiguousarray(low).view("<u8").astype(np.float64)
    whole: NDArray[np.float64] = limbs[:, 1] * 2.0**64 + limbs[:, 0]
    return whole


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
