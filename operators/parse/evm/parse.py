"""Logs of known pools -> ``Swap`` and ``PoolUpdate`` batches, whatever the venue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.parse.evm.concentrated import parse_concentrated
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.pairs import parse_pairs, parse_volatile
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, VOLATILE, PoolTable


def parse_logs(chain: int, logs: Logs, table: PoolTable, timestamps_us: NDArray[np.int64]) -> Parsed:
    """Parse ``logs`` in chain order (block, log index); logs of unknown addresses are left out.

    Parameters
    ----------
    timestamps_us : (n,) chain time of each log's block.

    A log that the chain took back (``removed``) is rejected: what it said must be undone by a fork's own row, which
    the reader of a node gives; a file of logs should hold none.
    """
    logs = replace(logs, position=np.arange(len(logs)))
    out = Parsed(chain, table, timestamps_us)
    out.reject(logs, np.flatnonzero(logs.removed), "removed", "the chain took this log back")
    numbers = table.numbers(logs.address)
    venues = table.venues(numbers)
    for venue, parser in ((PAIR, parse_pairs), (VOLATILE, parse_volatile), (CONCENTRATED, parse_concentrated)):
        rows = np.flatnonzero((venues == venue) & ~logs.removed)
        if len(rows):
            parser(logs.take(rows), numbers[rows], out)
    return out
