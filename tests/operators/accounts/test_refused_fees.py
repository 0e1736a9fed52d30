"""Fees that no row of a pool can carry: such a pool is given as removed, and nothing is found through it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mevflow.operators.accounts import raydium_clmm, registry
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.raydium_amm import CpmmConfigAccount, CpmmPoolAccount
from mevflow.operators.accounts.raydium_clmm import ClmmConfigAccount, ClmmPoolAccount, ClmmTickArrayAccount
from mevflow.operators.accounts.snapshot import WhirlpoolSnapshot
from mevflow.operators.accounts.states import raydium_clmm_state, whirlpool_state
from mevflow.operators.accounts.whirlpool import WhirlpoolAccount
from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.operators.amm.pairs import raydium_cpmm
from mevflow.operators.amm.pairs.raydium_cpmm import CpmmState
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.v1 import market_pb2 as market
from tests.operators.accounts.test_registry import recorded

POOL, A, B = b"p" * 32, b"a" * 32, b"b" * 32
SNAPSHOT, REMOVE = market.PoolUpdate.KIND_SNAPSHOT, market.PoolUpdate.KIND_REMOVE
#: Where a CLMM pool's rule of a dynamic fee begins: before it stand 80 bytes and two paddings from the end.
DYNAMIC = raydium_clmm.POOL_SIZE - 8 * (14 + 32) - 80
CONFIG = ClmmConfigAccount(0, 120_000, 500, 10, 40_000)


def rows(fill: Any) -> list[dict[str, Any]]:
    gathered = PoolUpdates(Seen(1))
    fill(gathered)
    found: list[dict[str, Any]] = gathered.take().to_pylist()
    return found


@pytest.mark.parametrize(("tier", "kind"), [(64, SNAPSHOT), (1024, REMOVE)])
def test_an_adaptive_whirlpool(tier: int, kind: int) -> None:
    account = WhirlpoolAccount(64, tier, 3000, 0, 10, tick_math_x64.price_at(0), 0, 0, 0, A, A, B, B)
    found = WhirlpoolSnapshot(POOL, account, whirlpool_state(account, []), 0)
    (row,) = rows(lambda updates: updates.whirlpools([found]))
    assert (row["kind"], row["mint_a"], row["mint_b"]) == (kind, A, B)


def clmm(**changes: Any) -> ClmmPoolAccount:
    pool = registry.decode(*recorded("clmm_pool"))
    assert isinstance(pool, ClmmPoolAccount)
    return replace(pool, **changes)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({}, SNAPSHOT), ({"dynamic_fee": True}, REMOVE), ({"fee_on": 1}, REMOVE), ({"status": 16}, REMOVE)],
)
def test_a_clmm_pool_with_another_fee(changes: dict[str, Any], kind: int) -> None:
    (row,) = rows(lambda updates: updates.raydium_clmm(POOL, clmm(**changes), CONFIG, []))
    assert row["kind"] == kind


def test_a_dynamic_fee_is_read_from_the_account() -> None:
    program, data = recorded("clmm_pool")
    assert not clmm().dynamic_fee
    changed = bytearray(data)
    changed[DYNAMIC + 6] = 1  # its control factor
    pool = registry.decode(program, bytes(changed))
    assert isinstance(pool, ClmmPoolAccount)
    assert pool.dynamic_fee
    with pytest.raises(AccountError, match="dynamic"):
        raydium_clmm_state(pool, CONFIG, [])


def test_a_clmm_pool_is_known_up_to_its_limit_orders() -> None:
    tick = clmm().tick
    array = ClmmTickArrayAccount(POOL, 0, (), (tick - 70, tick - 7, tick + 30, tick + 90))
    state = raydium_clmm_state(clmm(), CONFIG, [array])
    assert (state.known_tick_lower, state.known_tick_upper) == (tick - 7, tick + 30)
    (row,) = rows(lambda updates: updates.raydium_clmm(POOL, clmm(), CONFIG, [array]))
    assert (row["known_range_set"], row["known_tick_lower"], row["known_tick_upper"]) == (True, tick - 7, tick + 30)


def cpmm(creator_fee_on: int, enabled: bool) -> dict[str, Any]:
    pool = CpmmPoolAccount(POOL, A, B, A, B, 0, 6, 6, 0, 0, 0, creator_fee_on, enabled)
    config = CpmmConfigAccount(0, 2_500, 120_000, 40_000, 5_000)
    (row,) = rows(lambda updates: updates.raydium_cpmm(POOL, pool, config, 10**12, 10**12))
    return row


def test_a_creators_fee_of_every_input_is_one_rate_with_the_trade_fee() -> None:
    assert cpmm(0, enabled=True)["fee_pips"] == 7_500
    assert cpmm(0, enabled=False)["fee_pips"] == 2_500
    both, one = CpmmState(10**12, 3 * 10**12, 2_500, creator_fee_pips=5_000), CpmmState(10**12, 3 * 10**12, 7_500)
    for amount in (9, 1_000_003, 10**11 + 7):
        for a_to_b in (True, False):
            quotes = [raydium_cpmm.quote_exact_in(state, a_to_b, amount).amount_out for state in (both, one)]
            assert quotes[0] == quotes[1]


@pytest.mark.parametrize("side", [1, 2])
def test_a_creators_fee_in_one_token_is_refused(side: int) -> None:
    assert cpmm(side, enabled=True)["kind"] == REMOVE
    assert cpmm(side, enabled=False)["kind"] == SNAPSHOT
