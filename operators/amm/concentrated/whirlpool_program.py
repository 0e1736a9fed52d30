"""Orca Whirlpool as a venue: quotes that fail where the program fails, a price to screen by, and state from events.

:mod:`mevflow.operators.amm.concentrated.whirlpool` has the arithmetic, in unbounded integers; here amounts are the
program's 64 bits. A pool with an adaptive fee needs its oracle account for the fee of the moment: ``fee_pips`` of the
state must then be that.
"""

from __future__ import annotations

from dataclasses import replace

from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import ConcentratedState, Quote
from mevflow.operators.amm.concentrated.venue import Venue

RULES = replace(whirlpool.RULES, max_amount=(1 << 64) - 1)


def _swap(state: ConcentratedState, amount: int, a_to_b: bool, exact_in: bool, limit: int | None) -> Quote:
    return whirlpool.swap(state, a_to_b, amount, exact_in, limit, RULES)


_VENUE = Venue(_swap, RULES, bits=64)
quote_exact_in, quote_exact_out = _VENUE.quote_exact_in, _VENUE.quote_exact_out
marginal_price, after_swap = _VENUE.marginal_price, _VENUE.after_swap
