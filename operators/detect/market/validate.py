"""What a ``PoolUpdate`` must be before it may change a pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from mevflow.operators.amm.bins.dlmm_math import MAX_BIN_ID, MIN_BIN_ID
from mevflow.operators.detect.told import UpdateTold
from mevflow.v1 import market_pb2 as market

#: The widest range of ticks that any venue has (Uniswap v3, ``TickMath.sol``).
MAX_TICK = 887_272
_MAX_SPACING = (1 << 16) - 1
_MAX_DECIMALS = 255
_WIDTHS = {
    "sqrt_price_x64": 16,
    "sqrt_price_x96": 20,
    "liquidity": 16,
    "reserve_a": 16,
    "reserve_b": 16,
    "liquidity_delta": 16,
}
_TICK_WIDTHS = {"liquidity_net": 16, "liquidity_gross": 16}
_COIN_WIDTHS = {"balance": 16, "rate": 16, "weight": 16}
_BIN_WIDTHS = {"amount_a": 16, "amount_b": 16, "open_order": 16, "processed_order": 16}
_MOST_COINS = 8
#: A larger power than any pair's would be a number of any length.
_MAX_FEE_POWER = 9


def fault(one: UpdateTold) -> tuple[str, str] | None:
    """Why an update, a dict by field, cannot be what it says: (reason, detail); None when it can."""
    if one["chain"] <= 0:
        return "no_chain", "the chain is not set"
    if not one["pool"]:
        return "no_pool", "the pool is not set"
    if _wrong(one, _WIDTHS) or any(_wrong(each, _TICK_WIDTHS) for each in one["ticks"]):
        return "bad_amount", "an amount is not as many bytes as its kind has"
    wrong = _curve_fault(one)
    if wrong is not None:
        return wrong
    if one["sqrt_price_x64"] and one["sqrt_price_x96"]:
        return "two_prices", "a Q64.64 and a Q64.96 price"
    if one["fee_pips"] >= 1_000_000:
        return "bad_fee", "a fee of 100 % or more"
    if one["tick_spacing"] > _MAX_SPACING:
        return "bad_tick", f"ticks {one['tick_spacing']} apart"
    if max(one["decimals_a"], one["decimals_b"]) > _MAX_DECIMALS:
        return "bad_decimals", "more decimals than a byte holds"
    ranges = one["tick_lower"], one["tick_upper"], one["known_tick_lower"], one["known_tick_upper"]
    tick = max(one["tick"], *ranges, *[each["tick"] for each in one["ticks"]], key=abs)
    if abs(tick) > MAX_TICK:
        return "bad_tick", f"tick {tick} is beyond ±{MAX_TICK}"
    if one["kind"] == market.PoolUpdate.KIND_LIQUIDITY and one["tick_lower"] > one["tick_upper"]:
        return "bad_tick", f"a range is ascending, not [{one['tick_lower']}, {one['tick_upper']})"
    return None


def _curve_fault(one: UpdateTold) -> tuple[str, str] | None:
    """The same of a stable-swap curve and of bins."""
    coins = one["stable"]["coins"] if one["stable"] is not None else ()
    if not coins and not one["bins"] and one["bin_fees"] is None:
        return None
    if any(_wrong(coin, _COIN_WIDTHS) for coin in coins) or any(_wrong(each, _BIN_WIDTHS) for each in one["bins"]):
        return "bad_amount", "an amount is not as many bytes as its kind has"
    if coins and (not 2 <= len(coins) <= _MOST_COINS or len({coin["mint"] for coin in coins} - {b""}) != len(coins)):
        return "bad_coins", f"two to {_MOST_COINS} coins with a mint each"
    if any(not MIN_BIN_ID <= each["id"] <= MAX_BIN_ID for each in one["bins"]):
        return "bad_tick", f"a bin beyond {MAX_BIN_ID}"
    if one["bin_fees"] is not None and one["bin_fees"]["base_fee_power"] > _MAX_FEE_POWER:
        return "bad_fee", "a fee of 100 % or more"
    return None


def _wrong(values: Mapping[str, object], widths: dict[str, int]) -> bool:
    raw = cast("Mapping[str, bytes]", values)
    return any([raw[name] and len(raw[name]) != width for name, width in widths.items()])  # noqa: C419 - half the time
