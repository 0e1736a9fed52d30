"""Curve metapools: one coin against the liquidity token of a base pool, and through it against the base's coins.

Rule and rounding: Curve's metapool template (``get_dy``, ``get_dy_underlying``, ``exchange_underlying``), in the
form of the RAI/3CRV pool 0x618788357D0EBd8A37e763ADab3bc575D54c2C7d, whose first coin has a price of its own (RAI's
redemption price). Underlying coins are numbered 0 for the metapool's own coin, then the base pool's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.least_input import least_input
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.invariant import balance_for
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, PRECISION, StableState

#: How long a metapool trusts the base pool's virtual price that it last stored.
CACHE_EXPIRES_S = 10 * 60
_MOST = 1 << 127


@dataclass(frozen=True, slots=True)
class MetaState:
    """``pool`` is (own coin, base LP token), the rate of the latter being :func:`base_price`."""

    pool: StableState
    base: StableState


def base_price(base: StableState, cached: int, cached_at_s: int, now_s: int) -> int:
    """The base pool's virtual price that the metapool uses at ``now_s``: the stored one until it is ten minutes old."""
    return stable_swap.virtual_price(base) if now_s > cached_at_s + CACHE_EXPIRES_S else cached


def get_dy(state: MetaState, i: int, j: int, amount_in: int) -> int:
    """The view over the pool's own two coins."""
    return stable_swap.get_dy(state.pool, i, j, amount_in)


def get_dy_underlying(state: MetaState, i: int, j: int, amount_in: int) -> int:
    """The view over the underlying coins: a deposit into the base, an exchange, a withdrawal, as far as each is needed.

    Raises AmmError for coins or amounts that it refuses.
    """
    coins = 1 + len(state.base.balances)
    if i == j or not (0 <= i < coins and 0 <= j < coins):
        raise AmmError(f"coins {i} and {j} are not two of the {coins} underlying coins")
    if amount_in <= 0:
        raise AmmError(f"an amount is positive, not {amount_in}")
    if i and j:
        return stable_swap.get_dy(state.base, i - 1, j - 1, amount_in)
    pool = state.pool
    xp = pool.scaled()
    if i == 0:
        x = xp[0] + amount_in * pool.rates[0] // PRECISION
    else:
        amounts = [amount_in if k == i - 1 else 0 for k in range(len(state.base.balances))]
        added = stable_swap.calc_token_amount(state.base, amounts) * pool.rates[1] // PRECISION
        # The deposit's fee, approximately, as the contract has it.
        added -= added * state.base.fee // (2 * FEE_DENOMINATOR)
        x = xp[1] + added
    side = 0 if i == 0 else 1
    d = pool.d(xp)
    dy = xp[1 - side] - balance_for([x], d, pool.amp, pool.amp_precision) - 1
    if dy < 0:
        raise AmmError(f"{amount_in} of coin {i} is too little to exchange")
    dy -= dy * pool.fee // FEE_DENOMINATOR
    if j == 0:
        return dy * PRECISION // pool.rates[0]
    return stable_swap.calc_withdraw_one_coin(state.base, dy * PRECISION // pool.rates[1], j - 1)


def least_in_underlying(state: MetaState, i: int, j: int, amount_out: int) -> int:
    """The least input of coin ``i`` for which the view gives at least ``amount_out`` of coin ``j``."""

    def out(amount: int) -> int:
        try:
            return get_dy_underlying(state, i, j, amount)
        except AmmError:
            return 0

    return least_input(out, amount_out, int(amount_out / marginal_price(state, i, j)) + 1, _MOST)


def marginal_price(state: MetaState, i: int, j: int) -> float:
    """Raw units of underlying coin ``j`` per raw unit of ``i`` for a tiny exchange, net of fees; a screening value.

    A deposit into the base, or a withdrawal from it, is priced at the base's own curve against its virtual price.
    """
    if i and j:
        return stable_swap.marginal_price(state.base, i - 1, j - 1)
    if i == 0:
        return stable_swap.marginal_price(state.pool, 0, 1) * _withdrawal_price(state.base, j - 1)
    entry = 1 / _withdrawal_price(replace(state.base, fee=0), i - 1) * (1 - state.base.fee / (2 * FEE_DENOMINATOR))
    return entry * stable_swap.marginal_price(state.pool, 1, 0)


def _withdrawal_price(base: StableState, coin: int) -> float:
    """Raw units of ``coin`` for one raw unit of the liquidity token, by a small withdrawal."""
    probe = max(base.lp_supply // 10**6, 1)
    return stable_swap.calc_withdraw_one_coin(base, probe, coin) / probe
