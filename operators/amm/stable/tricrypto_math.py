"""The CryptoSwap invariant for three coins in integers, as Curve's contract iterates it.

Egorov, "Automatic market-making with dynamic peg" (2021). Step and rounding follow curvefi/curve-crypto-contract,
``contracts/tricrypto/CurveCryptoMath3.vy``. ``ann`` is A * n ** n times ``multiplier``, which is 1 in the first
deployment and 10,000 in the published source; numbers have 18 decimals otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from mevflow.operators.amm.concentrated.curve import AmmError

ONE = 10**18
COINS = 3
_ROUNDS = 255


def geometric_mean(x: Sequence[int]) -> int:
    """The cube root of the product of ``x``, given from high to low."""
    mean = x[0]
    for _ in range(_ROUNDS):
        before = mean
        product = ONE
        for value in x:
            product = product * value // mean
        mean = mean * ((COINS - 1) * ONE + product) // (COINS * ONE)
        moved = abs(mean - before)
        if moved <= 1 or moved * ONE < mean:
            return mean
    raise AmmError("the geometric mean did not converge")


def fee_reduction(xp: Sequence[int], fee_gamma: int) -> int:
    """How balanced the pool is: 1e18 when its sides are worth the same, towards zero when they are not."""
    total = sum(xp)
    k = ONE
    for x in xp:
        k = k * COINS * x // total
    return fee_gamma * ONE // (fee_gamma + ONE - k) if fee_gamma else k


def newton_d(ann: int, gamma: int, balances: Sequence[int], multiplier: int) -> int:
    """The invariant of ``balances`` (all worth the same when balanced). Raises AmmError where the contract reverts."""
    x = sorted(balances, reverse=True)
    if not 10**9 <= x[0] <= 10**15 * ONE or any(value * ONE // x[0] < 10**11 for value in x[1:]):
        raise AmmError("balances are beyond what the pool computes with")
    d = COINS * geometric_mean(x)
    total = sum(x)
    for _ in range(_ROUNDS):
        before = d
        k0 = ONE
        for value in x:
            k0 = k0 * value * COINS // d
        g = abs(gamma + ONE - k0) + 1
        mul1 = ONE * d // gamma * g // gamma * g * multiplier // ann
        mul2 = 2 * ONE * COINS * k0 // g
        slope = total + total * mul2 // ONE + mul1 * COINS // k0 - mul2 * d // ONE
        plus = d * (slope + total) // slope
        minus = d * d // slope
        if k0 < ONE:
            minus += d * (mul1 // slope) // ONE * (ONE - k0) // k0
        else:
            minus -= d * (mul1 // slope) // ONE * (k0 - ONE) // k0
        d = plus - minus if plus > minus else (minus - plus) // 2
        if abs(d - before) * 10**14 < max(10**16, d):
            for value in x:
                _check_share(value, d)
            return d
    raise AmmError("the invariant did not converge")


def newton_y(ann: int, gamma: int, balances: Sequence[int], d: int, i: int, multiplier: int) -> int:
    """The balance of coin ``i`` that keeps ``d``, given the others. Raises AmmError where the contract reverts."""
    others = sorted((value for k, value in enumerate(balances) if k != i), reverse=True)
    if not 10**17 <= d <= 10**15 * ONE:
        raise AmmError(f"invariant {d} is beyond what the pool computes with")
    for value in others:
        _check_share(value, d)
    limit = max(others[0] // 10**14, d // 10**14, 100)
    y = d // COINS
    for value in reversed(others):
        y = y * d // (value * COINS)
    k0_i = ONE
    for value in others:
        k0_i = k0_i * value * COINS // d
    for _ in range(_ROUNDS):
        before = y
        k0 = k0_i * y * COINS // d
        total = sum(others) + y
        g = abs(gamma + ONE - k0) + 1
        mul1 = ONE * d // gamma * g // gamma * g * multiplier // ann
        mul2 = ONE + 2 * ONE * k0 // g
        f = ONE * y + total * mul2 + mul1
        if f < d * mul2:
            y = before // 2
            continue
        f -= d * mul2
        slope = f // y
        minus = mul1 // slope
        plus = (f + ONE * d) // slope + minus * ONE // k0
        minus += ONE * total // slope
        y = before // 2 if plus < minus else plus - minus
        if abs(y - before) < max(limit, y // 10**14):
            _check_share(y, d)
            return y
    raise AmmError("the balance did not converge")


def _check_share(value: int, d: int) -> None:
    """The contract refuses a balance below 1 % or above 100 times the invariant."""
    if not 10**16 <= value * ONE // d <= 10**20:
        raise AmmError(f"a balance of {value} is beyond what the pool computes with")
