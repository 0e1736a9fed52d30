"""Uniswap v3 as a venue: exact quotes both ways, a price to screen by, and state from a ``Swap`` log.

:mod:`operators.amm.uniswap_v3` has the arithmetic.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from operators.amm import uniswap_v3
from operators.amm.concentrated import run_swap
from operators.amm.concentrated_venue import Venue

RULES = replace(uniswap_v3.RULES, max_amount=(1 << 255) - 1)
_VENUE = Venue(partial(run_swap, RULES), RULES, bits=96)
quote_exact_in, quote_exact_out = _VENUE.quote_exact_in, _VENUE.quote_exact_out
marginal_price, after_swap = _VENUE.marginal_price, _VENUE.after_swap
