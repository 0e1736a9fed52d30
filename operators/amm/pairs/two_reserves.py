"""What pools of two reserves and one product share: their state and the result of a swap.

x * y = k: an input dx (net of fee) buys y * dx / (x + dx). Venues differ in where the fee is taken and how each
division rounds; those rules are in :mod:`mevflow.operators.amm.pairs.uniswap_v2`,
:mod:`mevflow.operators.amm.pairs.raydium_v4` and
:mod:`mevflow.operators.amm.pairs.raydium_cpmm`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import AmmError


@dataclass(frozen=True, slots=True)
class PairQuote:
    """What a swap moves and the reserves after it. ``fee_amount`` is of the input, rounded as the venue does."""

    amount_in: int
    amount_out: int
    fee_amount: int
    reserve_a_after: int
    reserve_b_after: int


def sides(reserve_a: int, reserve_b: int, a_to_b: bool) -> tuple[int, int]:
    """(reserve of the input, reserve of the output). Raises AmmError when either is empty."""
    if reserve_a <= 0 or reserve_b <= 0:
        raise AmmError("a pool with an empty side has no price")
    return (reserve_a, reserve_b) if a_to_b else (reserve_b, reserve_a)


def check_amount(amount: int) -> None:
    """Raise AmmError unless ``amount`` is positive."""
    if amount <= 0:
        raise AmmError(f"an amount is positive, not {amount}")


def bought(net_in: int, x: int, y: int) -> int:
    """Output for ``net_in`` (fee excluded), floored."""
    return net_in * y // (x + net_in)


def cost(amount_out: int, x: int, y: int) -> int:
    """Input (fee excluded) for ``amount_out``, rounded up. Raises AmmError unless the pool keeps something."""
    if amount_out >= y:
        raise AmmError(f"the pool holds {y}, not more than {amount_out}")
    return -(-x * amount_out // (y - amount_out))


def quote(
    reserve_a: int, reserve_b: int, a_to_b: bool, amount_in: int, amount_out: int, fee: int, leaves: int = 0
) -> PairQuote:
    """The quote for these amounts; ``leaves`` of the input does not stay tradable in the pool."""
    stays = amount_in - leaves
    if a_to_b:
        return PairQuote(amount_in, amount_out, fee, reserve_a + stays, reserve_b - amount_out)
    return PairQuote(amount_in, amount_out, fee, reserve_a - amount_out, reserve_b + stays)
