"""All labels of one block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mevflow.operators.label.arbitrage import Arbitrage, arbitrages
from mevflow.operators.label.sandwich import Sandwich, sandwiches
from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.trade import Trade

Found = Arbitrage | Sandwich


def find(trades: Iterable[Trade], settings: LabelSettings) -> list[Found]:
    """Arbitrages by transaction, then sandwiches, of the swaps of one block (in any order)."""
    # A token for itself is no exchange: a wrapper, or a record that lost which token it was.
    block = [trade for trade in trades if trade.token_in != trade.token_out]
    transactions: dict[int, list[Trade]] = defaultdict(list)
    for trade in block:
        transactions[trade.tx_index].append(trade)
    found: list[Found] = []
    for _, own in sorted(transactions.items()):
        found += arbitrages(own, settings.unseen_pct)
    return [*found, *sandwiches(block, settings.shared, settings.min_overlap_pct)]
