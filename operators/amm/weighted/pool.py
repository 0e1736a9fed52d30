"""Weighted pools of Balancer v2, of 2022 and later: the product of balances, each to the power of its weight.

Rule and rounding: balancer/balancer-v2-monorepo, ``pkg/pool-weighted/contracts/WeightedMath.sol`` (``_calcOutGivenIn``,
``_calcInGivenOut``), ``pkg/pool-utils/contracts/{BasePool,BaseMinimalSwapInfoPool}.sol`` (fee and decimals). The
contract has an exact output of its own. Tokens are numbered as in the vault. Pools of 2021 round some powers otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.weighted.log_exp import ONE, div_down, div_up, mul_down, mul_up, power_up

#: Of a balance, the most that one swap may bring or take.
_MOST_SHARE = 3 * ONE // 10
#: The vault's field for a balance.
_BALANCE_BITS = 112


@dataclass(frozen=True, slots=True)
class WeightedState:
    """A pool. ``weights`` add up to 10 ** 18; ``scales`` take raw units to 18 decimals: 10 ** (36 - decimals).

    ``fee`` is a share of the input, of 10 ** 18.
    """

    balances: tuple[int, ...]
    weights: tuple[int, ...]
    scales: tuple[int, ...]
    fee: int


@dataclass(frozen=True, slots=True)
class WeightedQuote:
    """What a swap of token ``i`` for ``j`` moves. All of the input stays in the pool, its fee with it."""

    i: int
    j: int
    amount_in: int
    amount_out: int

    def applied_to(self, state: WeightedState) -> WeightedState:
        """``state`` after this swap."""
        balances = list(state.balances)
        balances[self.i] += self.amount_in
        balances[self.j] -= self.amount_out
        return replace(state, balances=tuple(balances))


def quote_exact_in(state: WeightedState, i: int, j: int, amount_in: int) -> WeightedQuote:
    """What ``amount_in`` of token ``i`` buys. Raises AmmError where the pool reverts."""
    x, y = _sides(state, i, j, amount_in)
    net = mul_down(amount_in - mul_up(amount_in, state.fee), state.scales[i])
    if net > mul_down(x, _MOST_SHARE):
        raise AmmError(f"{amount_in} is more than three tenths of what the pool holds")
    power = power_up(div_up(x, x + net), div_down(state.weights[i], state.weights[j]))
    return _fitting(state, WeightedQuote(i, j, amount_in, div_down(mul_down(y, max(ONE - power, 0)), state.scales[j])))


def quote_exact_out(state: WeightedState, i: int, j: int, amount_out: int) -> WeightedQuote:
    """What ``amount_out`` of token ``j`` costs. Raises AmmError where the pool reverts."""
    x, y = _sides(state, i, j, amount_out)
    wanted = mul_down(amount_out, state.scales[j])
    if wanted > mul_down(y, _MOST_SHARE):
        raise AmmError(f"{amount_out} is more than three tenths of what the pool holds")
    power = power_up(div_up(y, y - wanted), div_up(state.weights[j], state.weights[i]))
    net = div_up(mul_up(x, power - ONE), state.scales[i])
    return _fitting(state, WeightedQuote(i, j, div_up(net, ONE - state.fee), amount_out))


def marginal_price(state: WeightedState, i: int, j: int) -> float:
    """Raw units of ``j`` per raw unit of ``i`` for a tiny swap, net of fee."""
    _check_tokens(state, i, j)
    if not state.balances[i]:
        return 0.0
    ratio = state.balances[j] * state.weights[i] / (state.balances[i] * state.weights[j])
    return ratio * (1 - state.fee / ONE)


def after_swap(state: WeightedState, i: int, j: int, amount_in: int, amount_out: int) -> WeightedState:
    """``state`` after a recorded ``Swap`` of the vault. Raises AmmError where the pool does not hold the output."""
    _check_tokens(state, i, j)
    if not 0 <= amount_out < state.balances[j]:
        raise AmmError(f"the pool holds {state.balances[j]}, not more than {amount_out}")
    return WeightedQuote(i, j, amount_in, amount_out).applied_to(state)


def _fitting(state: WeightedState, found: WeightedQuote) -> WeightedQuote:
    if state.balances[found.i] + found.amount_in >> _BALANCE_BITS:
        raise AmmError(f"the vault holds no more than {_BALANCE_BITS} bits")
    return found


def _sides(state: WeightedState, i: int, j: int, amount: int) -> tuple[int, int]:
    """Both balances in 18 decimals."""
    _check_tokens(state, i, j)
    if amount <= 0:
        raise AmmError(f"an amount is positive, not {amount}")
    if not all(state.balances):
        raise AmmError("a pool with an empty side has no price")
    return mul_down(state.balances[i], state.scales[i]), mul_down(state.balances[j], state.scales[j])


def _check_tokens(state: WeightedState, i: int, j: int) -> None:
    if i == j or not (0 <= i < len(state.balances) and 0 <= j < len(state.balances)):
        raise AmmError(f"tokens {i} and {j} are not two of the {len(state.balances)} tokens")
