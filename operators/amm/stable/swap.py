"""Curve StableSwap pools of two coins or more: plain, NG, or as the base of a metapool.

Rule and rounding: curvefi/curve-contract, ``contracts/pools/3pool/StableSwap3Pool.vy`` (``exchange``, ``get_dy``,
``calc_token_amount``, ``calc_withdraw_one_coin``); curvefi/stableswap-ng, ``CurveStableSwapNG.vy`` (``__exchange``,
``_dynamic_fee``). Coins are numbered as in the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.least_input import least_input
from mevflow.operators.amm.stable.invariant import balance_for, invariant, slope

PRECISION = 10**18
#: Fees are in units of 1e-10.
FEE_DENOMINATOR = 10**10
_MOST = 1 << 127


@dataclass(frozen=True, slots=True)
class StableState:
    """A pool. ``rates`` scale raw balances to 18 decimals: 10 ** (36 - decimals), times a coin's own price if any.

    ``amp`` is A in the contract's unit, ``amp_precision`` that unit (1 or 100). ``admin_fee`` is a share of the fee.
    ``lp_supply`` is needed only for liquidity. ``view_fee_after_scaling``: the contract's ``get_dy`` takes the fee
    from the amount in the coin's own decimals, not before as ``exchange`` does (3pool and others of 2020).
    ``offpeg_fee_multiplier`` (NG, in units of 1e-10; up to one: none) is how many times the fee an exchange pays at
    most, far off the peg. ``one_division``: see :mod:`mevflow.operators.amm.stable.invariant`.
    """

    balances: tuple[int, ...]
    rates: tuple[int, ...]
    amp: int
    amp_precision: int
    fee: int
    admin_fee: int
    lp_supply: int = 0
    view_fee_after_scaling: bool = False
    offpeg_fee_multiplier: int = 0
    one_division: bool = False

    def scaled(self) -> list[int]:
        """The balances in one unit of 18 decimals."""
        return [balance * rate // PRECISION for balance, rate in zip(self.balances, self.rates, strict=True)]

    def d(self, xp: Sequence[int]) -> int:
        """The invariant of scaled balances, as this contract rounds it."""
        return invariant(xp, self.amp, self.amp_precision, self.one_division)

    def fee_at(self, x: int, y: int) -> int:
        """The fee of an exchange whose two scaled balances are ``x`` and ``y`` halfway."""
        if self.offpeg_fee_multiplier <= FEE_DENOMINATOR:
            return self.fee
        grown = (self.offpeg_fee_multiplier - FEE_DENOMINATOR) * 4 * x * y // (x + y) ** 2
        return self.offpeg_fee_multiplier * self.fee // (grown + FEE_DENOMINATOR)


@dataclass(frozen=True, slots=True)
class StableQuote:
    """What an exchange of coin ``i`` for ``j`` moves. The fee is of the output, ``admin_fee_amount`` a part of it."""

    i: int
    j: int
    amount_in: int
    amount_out: int
    fee_amount: int
    admin_fee_amount: int

    def applied_to(self, state: StableState) -> StableState:
        """``state`` after this exchange; the admin's part of the fee leaves the pool's balances."""
        balances = list(state.balances)
        balances[self.i] += self.amount_in
        balances[self.j] -= self.amount_out + self.admin_fee_amount
        return replace(state, balances=tuple(balances))


def quote_exact_in(state: StableState, i: int, j: int, amount_in: int) -> StableQuote:
    """What ``exchange`` pays for ``amount_in`` of coin ``i``. Raises AmmError for a coin or amount it refuses."""
    dy, rate_of_fee = _curve_out(state, i, j, amount_in)
    fee = dy * rate_of_fee // FEE_DENOMINATOR
    rate = state.rates[j]
    return StableQuote(
        i=i,
        j=j,
        amount_in=amount_in,
        amount_out=(dy - fee) * PRECISION // rate,
        fee_amount=fee * PRECISION // rate,
        admin_fee_amount=fee * state.admin_fee // FEE_DENOMINATOR * PRECISION // rate,
    )


def quote_exact_out(state: StableState, i: int, j: int, amount_out: int) -> StableQuote:
    """The least input whose exchange pays at least ``amount_out``; the contract has no exact output of its own."""
    if not 0 < amount_out < state.balances[j]:
        raise AmmError(f"the pool holds {state.balances[j]}, not more than {amount_out}")
    guess = int(amount_out / marginal_price(state, i, j)) + 1
    found = least_input(lambda amount: quote_exact_in(state, i, j, amount).amount_out, amount_out, guess, _MOST)
    return quote_exact_in(state, i, j, found)


def get_dy(state: StableState, i: int, j: int, amount_in: int) -> int:
    """What the contract's own view says, which in old pools differs from the exchange by a unit."""
    if not state.view_fee_after_scaling:
        return quote_exact_in(state, i, j, amount_in).amount_out
    dy, fee = _curve_out(state, i, j, amount_in)
    dy = dy * PRECISION // state.rates[j]
    return dy - fee * dy // FEE_DENOMINATOR


def marginal_price(state: StableState, i: int, j: int) -> float:
    """Raw units of ``j`` per raw unit of ``i`` for a tiny exchange, net of fee."""
    _check_coins(state, i, j)
    xp = state.scaled()
    on_curve = slope(xp, i, j, state.amp, state.amp_precision)
    fee = state.fee_at(xp[i], xp[j]) if xp[i] + xp[j] else state.fee
    return on_curve * (state.rates[i] / state.rates[j]) * (1 - fee / FEE_DENOMINATOR)


def after_swap(state: StableState, i: int, j: int, amount_in: int, amount_out: int) -> StableState:
    """``state`` after a recorded ``TokenExchange``. Raises AmmError when the rule gives another output."""
    quote = quote_exact_in(state, i, j, amount_in)
    if quote.amount_out != amount_out:
        raise AmmError(f"{amount_in} in gives {quote.amount_out}, the chain gave {amount_out}")
    return quote.applied_to(state)


def virtual_price(state: StableState) -> int:
    """D per liquidity token, 18 decimals."""
    if state.lp_supply <= 0:
        raise AmmError("the supply of liquidity tokens is not known")
    return state.d(state.scaled()) * PRECISION // state.lp_supply


def calc_token_amount(state: StableState, amounts: Sequence[int], deposit: bool = True) -> int:
    """Liquidity tokens for ``amounts``, without fees, as the contract's view says."""
    before = state.d(state.scaled())
    sign = 1 if deposit else -1
    moved = replace(state, balances=tuple(b + sign * a for b, a in zip(state.balances, amounts, strict=True)))
    if before == 0 or min(moved.balances) < 0:
        raise AmmError("the pool does not hold these amounts")
    after = state.d(moved.scaled())
    return sign * (after - before) * state.lp_supply // before


def calc_withdraw_one_coin(state: StableState, lp_amount: int, i: int) -> int:
    """Raw units of coin ``i`` for ``lp_amount`` liquidity tokens, net of the fee on the imbalance it makes.

    Raises AmmError for a pool with an off-peg fee: its rule for withdrawals is another.
    """
    if state.offpeg_fee_multiplier > FEE_DENOMINATOR:
        raise AmmError("withdrawals from a pool with an off-peg fee are not covered")
    if not 0 <= lp_amount <= state.lp_supply or state.lp_supply == 0:
        raise AmmError(f"of {state.lp_supply} liquidity tokens {lp_amount} cannot be burnt")
    coins = len(state.balances)
    xp = state.scaled()
    fee = state.fee * coins // (4 * (coins - 1))
    d_0 = state.d(xp)
    d_1 = d_0 - lp_amount * d_0 // state.lp_supply
    new_y = balance_for([x for k, x in enumerate(xp) if k != i], d_1, state.amp, state.amp_precision)
    reduced = [
        x - fee * (x * d_1 // d_0 - new_y if k == i else x - x * d_1 // d_0) // FEE_DENOMINATOR
        for k, x in enumerate(xp)
    ]
    left = balance_for([x for k, x in enumerate(reduced) if k != i], d_1, state.amp, state.amp_precision)
    # The contract subtracts one against rounding, and reverts where that is below zero.
    if reduced[i] - left < 1:
        raise AmmError(f"{lp_amount} liquidity tokens are worth nothing of coin {i}")
    return (reduced[i] - left - 1) * PRECISION // state.rates[i]


def _curve_out(state: StableState, i: int, j: int, amount_in: int) -> tuple[int, int]:
    """The output before the fee, in the common unit, and the fee; one less than the curve gives, against rounding."""
    _check_coins(state, i, j)
    if amount_in <= 0:
        raise AmmError(f"an amount is positive, not {amount_in}")
    xp = state.scaled()
    d, before = state.d(xp), xp[i]
    xp[i] += amount_in * state.rates[i] // PRECISION
    y = balance_for([x for k, x in enumerate(xp) if k != j], d, state.amp, state.amp_precision)
    dy = xp[j] - y - 1
    if dy < 0:
        raise AmmError(f"{amount_in} of coin {i} is too little to exchange")
    return dy, state.fee_at((before + xp[i]) // 2, (xp[j] + y) // 2)


def _check_coins(state: StableState, i: int, j: int) -> None:
    if i == j or not (0 <= i < len(state.balances) and 0 <= j < len(state.balances)):
        raise AmmError(f"coins {i} and {j} are not two of the {len(state.balances)} coins")
