"""Logs of Uniswap v3 pools and forks that log alike -> rows. A Swap states price, liquidity and tick after it.

Uniswap/v3-core ``IUniswapV3PoolEvents.sol``. A Mint or Burn states a position's range and how its liquidity changed;
what is active afterwards follows from the price. Flash, Collect and the owner's events change nothing that a swap
depends on. A swap through empty ranges alone moves the price and no amount. A log that cannot be read leaves its pool
in doubt.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.parse.evm import words
from mevflow.operators.parse.evm.events import CONCENTRATED_EVENTS, which
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.v1 import market_pb2 as market

_INITIALIZE, _SWAP, _PANCAKE, _MINT, _BURN = range(5)
_LIQUIDITY = market.PoolUpdate.KIND_LIQUIDITY
MAX_TICK = 887_272
#: ``TickMath.MIN_SQRT_RATIO`` and ``MAX_SQRT_RATIO`` (exclusive).
MIN_SQRT_PRICE, MAX_SQRT_PRICE = 4295128739, 1461446703485210103287273052203988822378723970342


def parse_concentrated(logs: Logs, pools: NDArray[np.int64], out: Parsed) -> None:
    """Add the rows of ``logs``, all of concentrated pools and in chain order; ``pools`` are their numbers."""
    kind = which(logs.topics[:, 0], CONCENTRATED_EVENTS)
    parse_swaps(logs, pools, kind == _SWAP, 5, out)
    parse_swaps(logs, pools, kind == _PANCAKE, 7, out)
    _liquidity(logs, pools, kind == _MINT, 4, out)
    _liquidity(logs, pools, kind == _BURN, 3, out)
    parse_created(logs, pools, np.flatnonzero(kind == _INITIALIZE), 1, 2, out)


def parse_swaps(
    logs: Logs, pools: NDArray[np.int64], mask: NDArray[np.bool_], size: int, out: Parsed, traders: bool = False
) -> None:
    """Swaps of ``size`` words: two amounts, price, liquidity, tick.

    ``traders``: amounts are as who trades sees them, and the sixth word is the fee (Uniswap v4).
    """
    rows = shaped(logs, pools, np.flatnonzero(mask), 3, size, "Swap", out)
    data = logs.words(rows, size)
    first, first_out, fits0 = words.magnitude(data[:, 0], 16)
    second, second_out, fits1 = words.magnitude(data[:, 1], 16)
    if traders:
        first_out, second_out = ~first_out, ~second_out
    price, price_fits = price_words(data[:, 2])
    liquidity, liquidity_fits = words.unsigned(data[:, 3], 16)
    tick, tick_fits = words.integers(data[:, 4], 24)
    tick_fits &= np.abs(tick) <= MAX_TICK
    nothing = ~first.any(axis=1) & ~second.any(axis=1)
    opposite = (first_out != second_out) | ~first.any(axis=1) | ~second.any(axis=1)
    for bad, reason, detail in (
        (~(fits0 & fits1) | ~opposite, "impossible_amount", "amounts that no swap moves"),
        (~(price_fits & tick_fits & liquidity_fits), "malformed", "a price or tick that no pool can have"),
    ):
        out.lose(logs, rows[bad], pools, reason, detail)
    good = fits0 & fits1 & opposite & price_fits & tick_fits & liquidity_fits
    moved = good & nothing
    out.updates(
        logs,
        rows[moved],
        pools[rows[moved]],
        market.PoolUpdate.KIND_UNSPECIFIED,
        sqrt_price_x96=words.binary(price[moved]),
        liquidity=words.binary(liquidity[moved]),
        tick=tick[moved],
    )
    good &= ~nothing
    rows, first, second = rows[good], first[good], second[good]
    # Token 0 comes in, or nothing of it moves and token 1 goes out.
    a_to_b = np.where(first.any(axis=1), ~first_out[good], second_out[good] & second.any(axis=1))
    side = a_to_b[:, None]
    told = {"fee_pips": words.integers(data[good, 5], 24)[0]} if traders else {}
    out.swaps(
        logs,
        rows,
        pools[rows],
        a_to_b,
        amount_in=words.binary(np.where(side, first, second)),
        amount_out=words.binary(np.where(side, second, first)),
        sqrt_price_x96=words.binary(price[good]),
        liquidity=words.binary(liquidity[good]),
        tick=tick[good],
        **told,
    )


def _liquidity(logs: Logs, pools: NDArray[np.int64], mask: NDArray[np.bool_], size: int, out: Parsed) -> None:
    """Mints (four words, the amount second) and burns (three, the amount first)."""
    minted = size == 4
    rows = shaped(logs, pools, np.flatnonzero(mask), 4, size, "Mint" if minted else "Burn", out)
    lower, upper, ranged = tick_ranges(logs.topics[rows, 2], logs.topics[rows, 3], out.spacing[pools[rows]])
    amount, fits = words.unsigned(logs.words(rows, size)[:, size - 3], 16)
    fits &= amount[:, 15] < 0x80
    wrong = rows[~(ranged & fits)]
    out.lose(logs, wrong, pools, "malformed", "a range or an amount that no position has", _LIQUIDITY)
    # A burn of nothing only collects fees.
    good = ranged & fits & amount.any(axis=1)
    rows, amount = rows[good], amount[good]
    owner = logs.topics[rows, 1, 12:]
    out.updates(
        logs,
        rows,
        pools[rows],
        _LIQUIDITY,
        signer=words.binary(owner),
        tick_lower=lower[good],
        tick_upper=upper[good],
        liquidity_delta=words.binary(amount if minted else words.negated(amount)),
    )


def parse_created(
    logs: Logs,
    pools: NDArray[np.int64],
    rows: NDArray[np.intp],
    topics: int,
    size: int,
    out: Parsed,
    *,
    own_fee: bool = False,
) -> None:
    """Add the first state of pools by ``Initialize``, whose last two words are price and tick.

    ``own_fee``: the rows tell the fee that the pool itself takes.
    """
    rows = shaped(logs, pools, rows, topics, size, "Initialize", out)
    data = logs.words(rows, size)
    price, fits = price_words(data[:, -2])
    tick, tick_fits = words.integers(data[:, -1], 24)
    fits &= tick_fits & (np.abs(tick) <= MAX_TICK)
    out.lose(logs, rows[~fits], pools, "malformed", "a price or tick that no pool can have")
    rows = rows[fits]
    told = {"fee_pips": out.own_fee[pools[rows]]} if own_fee else {}
    out.updates(
        logs,
        rows,
        pools[rows],
        market.PoolUpdate.KIND_CREATE,
        sqrt_price_x96=words.binary(price[fits]),
        tick=tick[fits],
        liquidity=pa.repeat(pa.scalar(bytes(16), pa.binary()), len(rows)),
        known_tick_lower=-MAX_TICK,
        known_tick_upper=MAX_TICK,
        known_range_set=True,
        **told,
    )


def tick_ranges(
    lower: NDArray[np.uint8], upper: NDArray[np.uint8], spacing: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Ticks of positions from their words, and which ranges a pool of that tick spacing can have."""
    low, low_fits = words.integers(lower, 24)
    high, high_fits = words.integers(upper, 24)
    steps = np.maximum(spacing, 1)
    fits = low_fits & high_fits & (low >= -MAX_TICK) & (low < high) & (high <= MAX_TICK)
    return low, high, fits & (low % steps == 0) & (high % steps == 0)


def shaped(
    logs: Logs, pools: NDArray[np.int64], rows: NDArray[np.intp], topics: int, size: int, name: str, out: Parsed
) -> NDArray[np.intp]:
    """Those of ``rows`` that have so many topics and words; the others' pools are in doubt."""
    good: NDArray[np.bool_] = (logs.topic_count[rows] == topics) & (logs.word_counts()[rows] == size)
    kind = _LIQUIDITY if name in ("Mint", "Burn", "ModifyLiquidity") else market.PoolUpdate.KIND_UNSPECIFIED
    out.lose(logs, rows[~good], pools, "malformed", f"a {name} has {topics} topics and {size} words", kind)
    kept: NDArray[np.intp] = rows[good]
    return kept


def price_words(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Q64.96 prices, 20 bytes, and which lie within TickMath's bounds."""
    price, fits = words.unsigned(data, 20)
    big = np.frombuffer(MIN_SQRT_PRICE.to_bytes(20, "big") + MAX_SQRT_PRICE.to_bytes(20, "big"), np.uint8)
    keys = np.ascontiguousarray(data[:, 12:]).view("S20")[:, 0]
    # Trailing zeros do not count in numpy's byte strings, which keeps their order as numbers of one width.
    least, most = big.reshape(2, 20).view("S20")[:, 0]
    return price, fits & (keys >= least) & (keys < most)
