"""Logs of known pools -> ``Swap`` and ``PoolUpdate`` batches, whatever the venue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm.concentrated import parse_concentrated
from mevflow.operators.parse.evm.curve import parse_curve
from mevflow.operators.parse.evm.events import (
    CONCENTRATED_EVENTS,
    CURVE_EVENTS,
    PAIR_EVENTS,
    SINGLETON_EVENTS,
    V3_SWAP,
    V3_SWAP_PANCAKE,
    V4_SWAP,
    VAULT_EVENTS,
    VOLATILE_EVENTS,
    which,
)
from mevflow.operators.parse.evm.lending import parse_lending
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.managers import parse_managers
from mevflow.operators.parse.evm.pairs import parse_pairs, parse_volatile
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.operators.parse.evm.pools import (
    CONCENTRATED,
    CURVE,
    PAIR,
    SLIPSTREAM,
    STABLE,
    TICKED,
    V4,
    VOLATILE,
    WEIGHTED,
    PoolTable,
)
from mevflow.operators.parse.evm.singleton import parse_singleton
from mevflow.operators.parse.evm.vault import parse_vault
from mevflow.v1 import market_pb2 as market

_EVENTS = {
    PAIR: PAIR_EVENTS,
    VOLATILE: VOLATILE_EVENTS,
    STABLE: VOLATILE_EVENTS,
    CONCENTRATED: CONCENTRATED_EVENTS,
    SLIPSTREAM: CONCENTRATED_EVENTS,
    V4: SINGLETON_EVENTS,
    CURVE: CURVE_EVENTS,
    WEIGHTED: VAULT_EVENTS,
}
_PARSERS = (
    ((PAIR,), parse_pairs),
    ((VOLATILE, STABLE), parse_volatile),
    ((CONCENTRATED, SLIPSTREAM), parse_concentrated),
    ((V4,), parse_singleton),
    ((CURVE,), parse_curve),
    ((WEIGHTED,), parse_vault),
)
_TRADES = (V3_SWAP, V3_SWAP_PANCAKE, V4_SWAP)
_UNSPECIFIED, _LIQUIDITY = market.PoolUpdate.KIND_UNSPECIFIED, market.PoolUpdate.KIND_LIQUIDITY


def parse_logs(
    chain: int,
    logs: Logs,
    table: PoolTable,
    timestamps_us: NDArray[np.int64],
    numbers: NDArray[np.int64] | None = None,
) -> Parsed:
    """Parse ``logs`` in chain order (block, log index); logs of unknown addresses are left out.

    Logs of a known pool's factory count where they change what its swaps pay, and anybody's of a liquidation.

    Parameters
    ----------
    timestamps_us : (n,) chain time of each log's block.
    numbers : (n,) of each log's pool, where the caller has them from :meth:`PoolTable.of_logs`.

    A log that the chain took back (``removed``) is rejected: what it said must be undone by a fork's own row, which
    the reader of a node gives; a file of logs should hold none. One that cannot be read leaves its pool in doubt, or
    all of them where nobody knows whose it is.
    """
    logs = replace(logs, position=np.arange(len(logs)))
    out = Parsed(chain, table, timestamps_us)
    out.reject(logs, np.flatnonzero(logs.removed), "removed", "the chain took this log back")
    if numbers is None:
        numbers = table.of_logs(logs.address, logs.topics)
    venues = table.venues(numbers)
    ours = ~logs.removed & ~logs.unread
    for of, parser in _PARSERS:
        rows = np.flatnonzero(np.isin(venues, of) & ours)
        if len(rows):
            parser(logs.take(rows), numbers[rows], out)
    if table.managed:
        parse_managers(logs, np.flatnonzero((numbers < 0) & ~logs.removed), table, out)
    parse_lending(logs, np.flatnonzero((numbers < 0) & ours), out)
    _doubt(logs, numbers, table, out)
    return out


def _doubt(logs: Logs, numbers: NDArray[np.int64], table: PoolTable, out: Parsed) -> None:
    """Updates of the pools whose logs cannot be read: they changed, and nobody knows how."""
    rows = np.flatnonzero(logs.unread)
    if not len(rows):
        return None
    nobodys = rows[~logs.address[rows].any(axis=1)]
    every = np.arange(len(table))
    own = rows[numbers[rows] >= 0]
    told, pools = [own, np.repeat(nobodys, len(every))], [numbers[own], np.tile(every, len(nobodys))]
    # Of a contract that is many pools, any of them.
    for row in rows[numbers[rows] < 0].tolist():
        many = np.array(table.singletons.get(logs.address[row].tobytes(), ()), np.int64)
        told.append(np.full(len(many), row))
        pools.append(many)
    return _changed(logs, np.concatenate(told), np.concatenate(pools), table, out)


def _changed(logs: Logs, told: NDArray[np.intp], pools: NDArray[np.int64], table: PoolTable, out: Parsed) -> None:
    venues, first = table.venues(pools), logs.topics[told, 0]
    unknown = logs.topic_count[told] == 0
    for venue, events in _EVENTS.items():
        kind = which(first, events)
        touched = (venues == venue) & (unknown | (kind >= 0))
        # Of a concentrated pool the ticks are known still, where it was a swap.
        moved = (
            touched
            & (unknown | ~np.isin(kind, [events.index(one) for one in _TRADES if one in events]))
            & (venue in TICKED)
        )
        for mask, meant in ((moved, _LIQUIDITY), (touched & ~moved, _UNSPECIFIED)):
            out.updates(logs, told[mask], pools[mask], meant)
