"""Which rule prices and quotes the pools of which venue.

A pool whose message names no venue goes by its state: a Q64.64 price is quoted as a Whirlpool, a Q64.96 price as
Uniswap v3, reserves as Uniswap v2. Bins and stable curves have their state beside the book
(:mod:`mevflow.operators.detect.book.curves`) and quote themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from mevflow.operators.amm.concentrated import raydium_clmm, uniswap_v3_venue, whirlpool_program
from mevflow.operators.amm.concentrated.curve import PIPS, AmmError, ConcentratedState, Quote, Rules
from mevflow.operators.amm.pairs import raydium_cpmm, raydium_v4, uniswap_v2
from mevflow.operators.amm.pairs.two_reserves import PairQuote
from mevflow.operators.sizing.kinds import (
    KIND_BINS,
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_CONSTANT_PRODUCT,
    KIND_STABLE,
)
from mevflow.v1 import market_pb2 as market

_KINDS: dict[int, int] = {
    market.VENUE_ORCA_WHIRLPOOL: KIND_CONCENTRATED_X64,
    market.VENUE_RAYDIUM_CLMM: KIND_CONCENTRATED_X64,
    market.VENUE_UNISWAP_V3: KIND_CONCENTRATED_X96,
    market.VENUE_UNISWAP_V2: KIND_CONSTANT_PRODUCT,
    market.VENUE_AERODROME_VOLATILE: KIND_CONSTANT_PRODUCT,
    market.VENUE_RAYDIUM_V4: KIND_CONSTANT_PRODUCT,
    market.VENUE_RAYDIUM_CPMM: KIND_CONSTANT_PRODUCT,
    market.VENUE_METEORA_DLMM: KIND_BINS,
    market.VENUE_CURVE_STABLE: KIND_STABLE,
    market.VENUE_SABER: KIND_STABLE,
    market.VENUE_AERODROME_STABLE: KIND_STABLE,
    market.VENUE_BALANCER_WEIGHTED: KIND_STABLE,
    market.VENUE_SLIPSTREAM: KIND_CONCENTRATED_X96,
    market.VENUE_UNISWAP_V4: KIND_CONCENTRATED_X96,
}
_CONCENTRATED: dict[int, Callable[[ConcentratedState, bool, int], Quote]] = {
    market.VENUE_ORCA_WHIRLPOOL: whirlpool_program.quote_exact_in,
    market.VENUE_RAYDIUM_CLMM: raydium_clmm.quote_exact_in,
    market.VENUE_UNISWAP_V3: uniswap_v3_venue.quote_exact_in,
    market.VENUE_SLIPSTREAM: uniswap_v3_venue.quote_exact_in,
    market.VENUE_UNISWAP_V4: uniswap_v3_venue.quote_exact_in,  # its fee and the protocol's are one
}
_CONCENTRATED_COST: dict[int, Callable[[ConcentratedState, bool, int], Quote]] = {
    market.VENUE_ORCA_WHIRLPOOL: whirlpool_program.quote_exact_out,
    market.VENUE_RAYDIUM_CLMM: raydium_clmm.quote_exact_out,
    market.VENUE_UNISWAP_V3: uniswap_v3_venue.quote_exact_out,
    market.VENUE_SLIPSTREAM: uniswap_v3_venue.quote_exact_out,
    market.VENUE_UNISWAP_V4: uniswap_v3_venue.quote_exact_out,
}
#: Rules, and after how many tick spacings a step ends though no tick is initialized (0: never): a Whirlpool's tick
#: array, a word of Uniswap's bitmap.
_RULES: dict[int, tuple[Rules, int]] = {
    market.VENUE_ORCA_WHIRLPOOL: (whirlpool_program.RULES, 88),
    market.VENUE_RAYDIUM_CLMM: (raydium_clmm.RULES, 0),
    market.VENUE_UNISWAP_V3: (uniswap_v3_venue.RULES, 256),
    market.VENUE_SLIPSTREAM: (uniswap_v3_venue.RULES, 256),
    market.VENUE_UNISWAP_V4: (uniswap_v3_venue.RULES, 256),
}
#: Pools of two reserves on another curve than a constant product: reserves, decimals and a fee are their whole state.
RESERVE_CURVES = (market.VENUE_AERODROME_STABLE,)
#: Fees that a program gives every pool until a row tells another (Raydium AMM v4, ``Fees::initialize``).
FIXED_FEE_PIPS: dict[int, int] = {market.VENUE_RAYDIUM_V4: 2_500}
#: How many bits a venue has for a reserve; a swap that would fill more fails (Uniswap v2: uint112, "OVERFLOW").
_RESERVE_BITS: dict[int, int] = {
    market.VENUE_UNISWAP_V2: 112,
    market.VENUE_RAYDIUM_V4: 64,
    market.VENUE_RAYDIUM_CPMM: 64,
}


def kind_of(venue: int, has_x64: bool, has_x96: bool) -> int:
    """How a pool is priced. A venue that is not known here, or not named, goes by the state it came with."""
    known = _KINDS.get(venue)
    if known is not None:
        return known
    return KIND_CONCENTRATED_X96 if has_x96 else KIND_CONCENTRATED_X64 if has_x64 else KIND_CONSTANT_PRODUCT


def reserve_bits(venue: int) -> int | None:
    """How many bits a venue has for a reserve; None where that is not known."""
    return _RESERVE_BITS.get(venue)


def _by_state(x64: bool) -> int:
    return market.VENUE_ORCA_WHIRLPOOL if x64 else market.VENUE_UNISWAP_V3


def concentrated_rules(venue: int, x64: bool) -> tuple[Rules, int]:
    """The venue's arithmetic, and after how many tick spacings a step of its loop ends at the latest (0: never)."""
    return _RULES.get(venue) or _RULES[_by_state(x64)]


def concentrated_out(venue: int, x64: bool, state: ConcentratedState, a_to_b: bool, amount_in: int) -> int | None:
    """The exact output; None when the pool cannot take all of the input within what is known."""
    try:
        found = (_CONCENTRATED.get(venue) or _CONCENTRATED[_by_state(x64)])(state, a_to_b, amount_in)
    except AmmError:
        return None
    return found.amount_out if found.filled else None


def concentrated_cost(venue: int, x64: bool, state: ConcentratedState, a_to_b: bool, amount_out: int) -> int | None:
    """The input that the venue takes for ``amount_out``; None when the pool does not give it within what is known."""
    try:
        found = (_CONCENTRATED_COST.get(venue) or _CONCENTRATED_COST[_by_state(x64)])(state, a_to_b, amount_out)
    except AmmError:
        return None
    return found.amount_in if found.filled else None


def reserves_out(venue: int, reserves: tuple[int, int], fee_pips: int, a_to_b: bool, amount_in: int) -> int | None:
    """The exact output; 0 when the venue gives nothing for it, None when its program cannot hold what it has then."""
    bits = _RESERVE_BITS.get(venue)
    if bits is not None and reserves[0 if a_to_b else 1] + amount_in >> bits:
        return None
    try:
        return _reserves(venue, reserves, fee_pips, a_to_b, amount_in, exact_in=True).amount_out
    except AmmError:
        return 0


def reserves_cost(venue: int, reserves: tuple[int, int], fee_pips: int, a_to_b: bool, amount_out: int) -> int | None:
    """The input that the venue takes for ``amount_out``; None when the pool does not give it."""
    try:
        paid = _reserves(venue, reserves, fee_pips, a_to_b, amount_out, exact_in=False).amount_in
    except AmmError:
        return None
    bits = _RESERVE_BITS.get(venue)
    return None if bits is not None and reserves[0 if a_to_b else 1] + paid >> bits else paid


def _reserves(
    venue: int, reserves: tuple[int, int], fee_pips: int, a_to_b: bool, amount: int, exact_in: bool
) -> PairQuote:
    if venue == market.VENUE_RAYDIUM_V4:
        amm = raydium_v4.AmmV4State(*reserves, fee_numerator=fee_pips, fee_denominator=PIPS)
        return (raydium_v4.quote_exact_in if exact_in else raydium_v4.quote_exact_out)(amm, a_to_b, amount)
    if venue == market.VENUE_RAYDIUM_CPMM:
        cpmm = raydium_cpmm.CpmmState(*reserves, fee_pips=fee_pips)
        return (raydium_cpmm.quote_exact_in if exact_in else raydium_cpmm.quote_exact_out)(cpmm, a_to_b, amount)
    # The fee of a pair is one fraction, whatever its denominator.
    away = venue == market.VENUE_AERODROME_VOLATILE
    pair = uniswap_v2.PairState(
        *reserves, fee_a=fee_pips, fee_b=fee_pips, fee_denominator=PIPS, split_fee=away, fee_leaves=away
    )
    return (uniswap_v2.quote_exact_in if exact_in else uniswap_v2.quote_exact_out)(pair, a_to_b, amount)
