"""Curve tricrypto: three coins that are not pegged, around prices that the pool follows by itself.

Rule and rounding: curvefi/curve-crypto-contract, ``contracts/tricrypto/{CurveCryptoViews3,CurveCryptoSwap}.vy``.
Checked on the pool 0x80466c64868E1ab14a1Ddf27A676C3fcBE638Fe5 (USDT, WBTC, WETH). The prices it concentrates
around (``price_scale``) are state that only the contract moves: :func:`after_swap` keeps them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.least_input import least_input
from mevflow.operators.amm.stable.tricrypto_math import COINS, ONE, fee_reduction, newton_d, newton_y

FEE_DENOMINATOR = 10**10
_MOST = 1 << 127


@dataclass(frozen=True, slots=True)
class CryptoState:
    """A pool. ``precisions`` are 10 ** (18 - decimals); ``price_scale`` prices coins 1 and 2 in coin 0, 18 decimals.

    ``ann`` and ``multiplier`` as :mod:`mevflow.operators.amm.stable.tricrypto_math` has them (1 in the pool of June
    2021). Fees are in units of 1e-10: ``mid_fee`` when balanced, ``out_fee`` at worst. ``ramping``: A or gamma is
    changing, so D is computed anew.
    """

    balances: tuple[int, int, int]
    precisions: tuple[int, int, int]
    price_scale: tuple[int, int]
    ann: int
    gamma: int
    d: int
    mid_fee: int
    out_fee: int
    fee_gamma: int
    multiplier: int = 10_000
    ramping: bool = False

    def scaled(self, balances: tuple[int, ...]) -> list[int]:
        """``balances`` valued in coin 0, 18 decimals."""
        scaled = [balances[0] * self.precisions[0]]
        for k in (1, 2):
            scaled.append(balances[k] * self.price_scale[k - 1] * self.precisions[k] // ONE)
        return scaled


@dataclass(frozen=True, slots=True)
class CryptoQuote:
    """What an exchange of coin ``i`` for ``j`` moves; the fee is of the output."""

    i: int
    j: int
    amount_in: int
    amount_out: int
    fee_amount: int


def quote_exact_in(state: CryptoState, i: int, j: int, amount_in: int) -> CryptoQuote:
    """What ``exchange`` pays for ``amount_in`` of coin ``i``. Raises AmmError where the contract reverts."""
    if i == j or not (0 <= i < COINS and 0 <= j < COINS):
        raise AmmError(f"coins {i} and {j} are not two of three")
    if amount_in <= 0:
        raise AmmError(f"an amount is positive, not {amount_in}")
    d = state.d
    if state.ramping:
        d = newton_d(state.ann, state.gamma, state.scaled(state.balances), state.multiplier)
    moved = tuple(balance + (amount_in if k == i else 0) for k, balance in enumerate(state.balances))
    xp = state.scaled(moved)
    y = newton_y(state.ann, state.gamma, xp, d, j, state.multiplier)
    dy = xp[j] - y - 1
    if dy < 0:
        raise AmmError(f"{amount_in} of coin {i} is too little to exchange")
    xp[j] = y
    if j:
        dy = dy * ONE // state.price_scale[j - 1]
    dy //= state.precisions[j]
    fee = _fee(state, xp) * dy // FEE_DENOMINATOR
    return CryptoQuote(i, j, amount_in, dy - fee, fee)


def quote_exact_out(state: CryptoState, i: int, j: int, amount_out: int) -> CryptoQuote:
    """The least input that pays at least ``amount_out``; the contract has no exact output of its own."""
    if not 0 < amount_out < state.balances[j]:
        raise AmmError(f"the pool holds {state.balances[j]}, not more than {amount_out}")
    # The contract reverts beyond some input, long before it could be paid for: nothing comes out there.
    most = state.balances[i] * 100

    def out(amount: int) -> int:
        try:
            return quote_exact_in(state, i, j, amount).amount_out
        except AmmError:
            return 0 if amount <= state.balances[i] // 10**6 else state.balances[j]

    guess = int(amount_out / marginal_price(state, i, j)) + 1
    return quote_exact_in(state, i, j, least_input(out, amount_out, guess, most))


def get_dy(state: CryptoState, i: int, j: int, amount_in: int) -> int:
    """What the contract's view says; it is what the exchange pays."""
    return quote_exact_in(state, i, j, amount_in).amount_out


def marginal_price(state: CryptoState, i: int, j: int) -> float:
    """Raw units of ``j`` per raw unit of ``i`` for a tiny exchange, net of fee; a screening value.

    Read off the invariant by moving one part in a million of the balance.
    """
    xp = state.scaled(state.balances)
    step = max(xp[i] // 10**6, 1)
    moved = [x + (step if k == i else 0) for k, x in enumerate(xp)]
    y = newton_y(state.ann, state.gamma, moved, state.d, j, state.multiplier)
    values = [
        precision * scale / ONE for precision, scale in zip(state.precisions, (ONE, *state.price_scale), strict=True)
    ]
    return (xp[j] - y) / step * values[i] / values[j] * (1 - _fee(state, xp) / FEE_DENOMINATOR)


def after_swap(state: CryptoState, i: int, j: int, amount_in: int, amount_out: int) -> CryptoState:
    """``state`` with a recorded exchange's amounts moved and D computed from them; ``price_scale`` stays.

    Raises AmmError for amounts that the pool cannot have moved.
    """
    balances = list(state.balances)
    balances[i] += amount_in
    balances[j] -= amount_out
    if balances[j] <= 0:
        raise AmmError(f"the pool holds {state.balances[j]}, not {amount_out}")
    after = (balances[0], balances[1], balances[2])
    return replace(state, balances=after, d=newton_d(state.ann, state.gamma, state.scaled(after), state.multiplier))


def _fee(state: CryptoState, xp: list[int]) -> int:
    reduction = fee_reduction(xp, state.fee_gamma)
    return (state.mid_fee * reduction + state.out_fee * (ONE - reduction)) // ONE
