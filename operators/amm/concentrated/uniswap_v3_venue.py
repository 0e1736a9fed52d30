"""Uniswap v3 as a venue: exact quotes both ways, a price to screen by, and state from a ``Swap`` log.

:mod:`mevflow.operators.amm.concentrated.uniswap_v3` has the arithmetic.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mevflow.operators.amm.concentrated import uniswap_v3
from mevflow.operators.amm.concentrated.curve import run_swap
from mevflow.operators.amm.concentrated.venue import Venue

RULES = replace(uniswap_v3.RULES, max_amount=(1 << 255) - 1)
_VENUE = Venue(partial(run_swap, RULES), RULES, bits=96)
quote_exact_in, quote_exact_out = _VENUE.quote_exact_in, _VENUE.quote_exact_out
marginal_price, after_swap = _VENUE.marginal_price, _VENUE.after_swap
