"""Curve's RAI/3CRV metapool: every recorded result, at one block and over sixteen of another time."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import metapool as stable_meta
from mevflow.operators.amm.stable.metapool import MetaState
from mevflow.operators.amm.stable.swap import StableState
from tests.operators.amm.recorded import coins, degenbot, results

OWN = ["RAI", "3Crv"]
UNDERLYING = ["RAI", "DAI", "USDC", "USDT"]


def metapool(fixed: dict[str, Any], moment: dict[str, Any]) -> MetaState:
    base = StableState(
        balances=tuple(moment["base_balances"]),
        rates=tuple(10 ** (36 - token["decimals"]) for token in fixed["base_pool"]["tokens"]),
        amp=moment["base_a"],
        amp_precision=1,
        fee=fixed["base_pool"]["fee"],
        admin_fee=fixed["base_pool"]["admin_fee"],
        lp_supply=moment["base_lp_token_total_supply"],
        view_fee_after_scaling=True,
    )
    price = stable_meta.base_price(
        base, moment["base_virtual_price"], moment["base_cache_updated"], moment["block_timestamp"]
    )
    pool = StableState(
        balances=tuple(moment["balances"]),
        rates=(moment["redemption_price"], price),
        amp=moment["future_a"],
        amp_precision=100,
        fee=fixed["fee"],
        admin_fee=fixed["admin_fee"],
        lp_supply=moment["lp_token_total_supply"],
    )
    return MetaState(pool, base)


def at_one_block() -> MetaState:
    recorded = degenbot("curve_metapool_state")
    base = recorded["base_pool"]
    moment = {
        **recorded,
        "base_balances": base["balances"],
        "base_a": base["a_coefficient"],
        "base_lp_token_total_supply": base["lp_token_total_supply"],
    }
    return metapool(recorded, moment)


def view(state: MetaState, function: str, pair: str, amount: int) -> int:
    if function == "get_dy":
        return stable_meta.get_dy(state, *coins(pair, OWN), amount)
    return stable_meta.get_dy_underlying(state, *coins(pair, UNDERLYING), amount)


def test_one_block() -> None:
    state = at_one_block()
    recorded = results("curve_metapool_get_dy")
    assert len(recorded) == 42
    for (_, function, pair, amount), value in recorded:
        assert view(state, function, pair, int(amount)) == value


def test_sixteen_blocks() -> None:
    recorded = degenbot("curve_metapool_multiblock_state")
    states = {f"blk{block}": metapool(recorded["immutable"], moment) for block, moment in recorded["states"].items()}
    calls = results("curve_metapool_multiblock_get_dy")
    assert len(states) == 16
    assert len(calls) == 672
    for (_, function, pair, block, amount), value in calls:
        assert view(states[block], function, pair, int(amount)) == value


@pytest.mark.parametrize(("i", "j"), [(0, 1), (0, 2), (3, 0), (1, 0), (1, 2), (3, 2)])
def test_least_input_and_price(i: int, j: int) -> None:
    state = at_one_block()
    amount = 10 ** (20 if i < 2 else 8)
    out = stable_meta.get_dy_underlying(state, i, j, amount)
    least = stable_meta.least_in_underlying(state, i, j, out)
    assert least <= amount
    assert stable_meta.get_dy_underlying(state, i, j, least) >= out
    assert out / amount == pytest.approx(stable_meta.marginal_price(state, i, j), rel=1e-2)


def test_what_the_contract_refuses() -> None:
    state = at_one_block()
    for i, j, amount in [(0, 0, 1), (0, 4, 1), (4, 0, 1), (0, 1, 0)]:
        with pytest.raises(AmmError):
            stable_meta.get_dy_underlying(state, i, j, amount)
