"""Which rule prices and quotes the pools of which venue.

A pool whose message names no venue goes by its state: a Q64.64 price is quoted as a Whirlpool, a Q64.96 price as
Uniswap v3, reserves as Uniswap v2. Venues that have a rule in :mod:`operators.amm` but none here yet (bins, stable
curves) are kept and never traded: their reserves are not those of a constant product.
"""

from __future__ import annotations

from collections.abc import Callable

from operators.amm import raydium_clmm, raydium_cpmm, raydium_v4, uniswap_v2, uniswap_v3_venue, whirlpool_program
from operators.amm.concentrated import PIPS, AmmError, ConcentratedState, Quote
from operators.detect.book import (
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_CONSTANT_PRODUCT,
    KIND_NOT_TRADED,
)
from proto.mevflow.v1 import market_pb2 as market

_KINDS: dict[int, int] = {
    market.VENUE_ORCA_WHIRLPOOL: KIND_CONCENTRATED_X64,
    market.VENUE_RAYDIUM_CLMM: KIND_CONCENTRATED_X64,
    market.VENUE_UNISWAP_V3: KIND_CONCENTRATED_X96,
    market.VENUE_UNISWAP_V2: KIND_CONSTANT_PRODUCT,
    market.VENUE_RAYDIUM_V4: KIND_CONSTANT_PRODUCT,
    market.VENUE_RAYDIUM_CPMM: KIND_CONSTANT_PRODUCT,
    market.VENUE_METEORA_DLMM: KIND_NOT_TRADED,
    market.VENUE_CURVE_STABLE: KIND_NOT_TRADED,
    market.VENUE_SABER: KIND_NOT_TRADED,
}
_CONCENTRATED: dict[int, Callable[[ConcentratedState, bool, int], Quote]] = {
    market.VENUE_ORCA_WHIRLPOOL: whirlpool_program.quote_exact_in,
    market.VENUE_RAYDIUM_CLMM: raydium_clmm.quote_exact_in,
    market.VENUE_UNISWAP_V3: uniswap_v3_venue.quote_exact_in,
}


def kind_of(venue: int, has_x64: bool, has_x96: bool) -> int:
    """How a pool is priced. A venue that is not known here, or not named, goes by the state it came with."""
    known = _KINDS.get(venue)
    if known is not None:
        return known
    return KIND_CONCENTRATED_X96 if has_x96 else KIND_CONCENTRATED_X64 if has_x64 else KIND_CONSTANT_PRODUCT


def concentrated_out(venue: int, x64: bool, state: ConcentratedState, a_to_b: bool, amount_in: int) -> int | None:
    """The exact output; None when the pool cannot take all of the input within what is known."""
    by_state = market.VENUE_ORCA_WHIRLPOOL if x64 else market.VENUE_UNISWAP_V3
    try:
        found = _CONCENTRATED.get(venue, _CONCENTRATED[by_state])(state, a_to_b, amount_in)
    except AmmError:
        return None
    return found.amount_out if found.filled else None


def reserves_out(venue: int, reserves: tuple[int, int], fee_pips: int, a_to_b: bool, amount_in: int) -> int:
    """The exact output; 0 when the venue gives nothing for it."""
    try:
        if venue == market.VENUE_RAYDIUM_V4:
            amm = raydium_v4.AmmV4State(*reserves, fee_numerator=fee_pips, fee_denominator=PIPS)
            return raydium_v4.quote_exact_in(amm, a_to_b, amount_in).amount_out
        if venue == market.VENUE_RAYDIUM_CPMM:
            cpmm = raydium_cpmm.CpmmState(*reserves, fee_pips=fee_pips)
            return raydium_cpmm.quote_exact_in(cpmm, a_to_b, amount_in).amount_out
        # The fee of a pair is one fraction, whatever its denominator.
        pair = uniswap_v2.PairState(*reserves, fee_a=fee_pips, fee_b=fee_pips, fee_denominator=PIPS)
        return uniswap_v2.quote_exact_in(pair, a_to_b, amount_in).amount_out
    except AmmError:
        return 0
