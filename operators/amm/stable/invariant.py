"""The StableSwap invariant in integers, as Curve's and Saber's contracts iterate it.

Ann * S + D = Ann * D + D ** (n + 1) / (n ** n * prod x), with Ann = A * n as the contracts define it (Egorov,
"StableSwap", 2019). Every division floors, each iteration stops once two values differ by at most one: results are
those of curvefi/curve-contract, ``StableSwap3Pool.vy`` and its successors. ``precision`` is what ``amp`` is scaled
by: 1 in the first contracts, 100 since amplification can be ramped finely. ``one_division``: the product is divided by
n ** n at its end, as factory and NG pools do, and not by n at every coin.
"""

from __future__ import annotations

from collections.abc import Sequence

from mevflow.operators.amm.concentrated.curve import AmmError

#: The contracts give up, or go on with what they have, after so many iterations.
_ROUNDS = 255
_MAX_UINT = (1 << 256) - 1


def invariant(xp: Sequence[int], amp: int, precision: int = 1, one_division: bool = False) -> int:
    """D of the balances ``xp``, all scaled to one unit.

    Raises AmmError where the contract reverts: a balance is zero and another is not, 256 bits overflow, or (with
    ``one_division``; older contracts go on with what they have) D does not settle.
    """
    total = sum(xp)
    if total == 0:
        return 0
    if not all(xp):
        raise AmmError("a pool with an empty side has no invariant")
    coins = len(xp)
    ann = amp * coins
    each, end = (1, coins**coins) if one_division else (coins, 1)
    d = total
    for _ in range(_ROUNDS):
        product = d
        for x in xp:
            if product * d > _MAX_UINT:
                raise AmmError("the product of balances overflows")
            product = product * d // (x * each)
        product //= end
        before = d
        risen = (ann * total // precision + product * coins) * d
        if risen > _MAX_UINT:
            raise AmmError("the product of balances overflows")
        d = risen // ((ann - precision) * d // precision + (coins + 1) * product)
        if abs(d - before) <= 1:
            return d
    if one_division:
        raise AmmError("the invariant does not settle")
    return d


def balance_for(others: Sequence[int], d: int, amp: int, precision: int = 1) -> int:
    """The missing balance that, together with ``others``, has the invariant ``d``. Raises AmmError if one is zero."""
    if not all(others) or d == 0:
        raise AmmError("a pool with an empty side has no price")
    coins = len(others) + 1
    ann = amp * coins
    c = d
    for x in others:
        c = c * d // (x * coins)
    c = c * d * precision // (ann * coins)
    b = sum(others) + d * precision // ann
    y = d
    for _ in range(_ROUNDS):
        before = y
        y = (y * y + c) // (2 * y + b - d)
        if abs(y - before) <= 1:
            break
    return y


def slope(xp: Sequence[int], i: int, j: int, amp: int, precision: int = 1) -> float:
    """How much of ``j`` a tiny amount of ``i`` is worth on the curve: the ratio of the invariant's derivatives."""
    coins = len(xp)
    d = invariant(xp, amp, precision)
    if d == 0:
        return 0.0
    ann = amp * coins / precision
    product = float(d)
    for x in xp:
        product *= d / (x * coins)
    return (ann + product / xp[i]) / (ann + product / xp[j])
