"""Uniswap v4 pools without hooks: v3's curve with a protocol fee that is charged on top.

Rule: Uniswap/v4-core, ``src/libraries/{Pool,SwapMath,ProtocolFeeLibrary}.sol``. A swap that runs out of liquidity
reverts in the quoter; here it comes back with ``filled`` False. A hook may change anything: pools with one are not
covered.
"""

from __future__ import annotations

from msgspec.structs import replace

from mevflow.operators.amm.concentrated import uniswap_v3_venue
from mevflow.operators.amm.concentrated.curve import PIPS, ConcentratedState, Quote

after_swap = uniswap_v3_venue.after_swap


def swap_fee(lp_fee_pips: int, protocol_fee_pips: int) -> int:
    """Both fees as one, in hundredths of a basis point: the pool's fee is charged on what the protocol leaves.

    The product of both, which is charged once only, is rounded down: the sum is rounded up.
    """
    return protocol_fee_pips + lp_fee_pips - protocol_fee_pips * lp_fee_pips // PIPS


def quote_exact_in(state: ConcentratedState, a_to_b: bool, amount_in: int, protocol_fee_pips: int = 0) -> Quote:
    """What ``amount_in`` buys; ``protocol_fee_pips`` is that of the swap's direction. Raises AmmError."""
    return uniswap_v3_venue.quote_exact_in(_charged(state, protocol_fee_pips), a_to_b, amount_in)


def quote_exact_out(state: ConcentratedState, a_to_b: bool, amount_out: int, protocol_fee_pips: int = 0) -> Quote:
    """What ``amount_out`` costs; ``protocol_fee_pips`` is that of the swap's direction. Raises AmmError."""
    return uniswap_v3_venue.quote_exact_out(_charged(state, protocol_fee_pips), a_to_b, amount_out)


def marginal_price(state: ConcentratedState, a_to_b: bool, protocol_fee_pips: int = 0) -> float:
    """Raw output units per raw input unit for a tiny swap, net of both fees."""
    return uniswap_v3_venue.marginal_price(_charged(state, protocol_fee_pips), a_to_b)


def _charged(state: ConcentratedState, protocol_fee_pips: int) -> ConcentratedState:
    return replace(state, fee_pips=swap_fee(state.fee_pips, protocol_fee_pips), protocol_fee_bps=0)
