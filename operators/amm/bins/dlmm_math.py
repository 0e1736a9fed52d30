"""Meteora DLMM's fixed-point arithmetic: bin prices and fee rates.

Formulas and rounding follow MeteoraAg/dlmm-sdk, ``commons/src/math/{price_math,u64x64_math}.rs`` and
``commons/src/extensions/lb_pair.rs``, which mirror the program lb_clmm.
"""

from __future__ import annotations

from functools import lru_cache

from mevflow.operators.amm.concentrated.curve import AmmError

BPS = 10_000
#: Fee rates are in billionths.
FEE_PRECISION = 1_000_000_000
MAX_FEE_RATE = 100_000_000
MIN_BIN_ID = -443636
MAX_BIN_ID = 443636

_ONE = 1 << 64
_MAX_U128 = (1 << 128) - 1
_MAX_EXPONENT = 1 << 19
#: Variable fees are computed with eleven more digits than a rate has.
_VARIABLE_SCALE = 100_000_000_000


@lru_cache(maxsize=1 << 15)
def price_of(bin_id: int, bin_step_bps: int) -> int:
    """B per A in bin ``bin_id``, Q64.64: (1 + bin_step / 10,000) ** bin_id. Raises AmmError when it does not fit.

    The program squares a base below one, so it inverts a base above one and inverts the result back; each product
    is floored.
    """
    if bin_id == 0:
        return _ONE
    exponent = abs(bin_id)
    if exponent >= _MAX_EXPONENT:
        raise AmmError(f"bin {bin_id} is beyond every price")
    # A base above one is inverted at once, so only positive powers must be inverted back at the end.
    square = _MAX_U128 // (_ONE + (bin_step_bps << 64) // BPS)
    result = _ONE
    while exponent:
        if exponent & 1:
            result = result * square >> 64
        square = square * square >> 64
        exponent >>= 1
    if result == 0:
        raise AmmError(f"bin {bin_id} at step {bin_step_bps} has no price")
    return _MAX_U128 // result if bin_id > 0 else result


def amount_out_at(price: int, amount_in: int, a_to_b: bool) -> int:
    """What ``amount_in`` (fee excluded) buys at ``price``, floored."""
    return price * amount_in >> 64 if a_to_b else (amount_in << 64) // price


def amount_in_for(price: int, amount_out: int, a_to_b: bool) -> int:
    """What ``amount_out`` costs at ``price`` (fee excluded), rounded up."""
    if a_to_b:
        return -(-(amount_out << 64) // price)
    return -(-(amount_out * price) >> 64)


def fee_rate(
    bin_step_bps: int, base_factor: int, base_fee_power: int, variable_fee_control: int, volatility: int
) -> int:
    """Base fee plus the fee for ``volatility``, in billionths, at most 10 %."""
    base = base_factor * bin_step_bps * 10 * 10**base_fee_power
    if variable_fee_control:
        square = (volatility * bin_step_bps) ** 2
        base += -(-variable_fee_control * square // _VARIABLE_SCALE)
    return min(base, MAX_FEE_RATE)


def fee_on(amount: int, rate: int) -> int:
    """The fee that is added to ``amount`` so that ``amount`` is left after it, rounded up."""
    return -(-amount * rate // (FEE_PRECISION - rate))


def fee_within(amount: int, rate: int) -> int:
    """The fee that is taken out of ``amount``, rounded up."""
    return -(-amount * rate // FEE_PRECISION)
