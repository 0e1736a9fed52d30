"""Pools that nobody can swap in are no pools to find anything through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mevflow.operators.accounts import registry
from mevflow.operators.accounts.dlmm import LbPairAccount
from mevflow.operators.accounts.raydium_amm import AmmV4Account, CpmmConfigAccount, CpmmPoolAccount
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.v1 import market_pb2 as market
from tests.operators.accounts.test_registry import recorded

POOL, A, B = b"p" * 32, b"a" * 32, b"b" * 32
SNAPSHOT, REMOVE = market.PoolUpdate.KIND_SNAPSHOT, market.PoolUpdate.KIND_REMOVE
SLOT, NOW_S = 1_000, 2_000_000_000


def row(fill: Any, time_s: int = NOW_S) -> dict[str, Any]:
    gathered = PoolUpdates(Seen(SLOT, time_s * 1_000_000))
    fill(gathered)
    (found,) = gathered.take().to_pylist()
    return dict(found)


def amm_v4(status: int, open_time_s: int, time_s: int = NOW_S) -> dict[str, Any]:
    account = AmmV4Account(status, 6, 6, 25, 10_000, 0, 0, open_time_s, A, B, A, B, POOL)
    return row(lambda updates: updates.raydium_v4(POOL, account, 10**9, 10**9), time_s)


def cpmm(status: int, open_time_s: int) -> dict[str, Any]:
    account = CpmmPoolAccount(POOL, A, B, A, B, status, 6, 6, 0, 0, open_time_s, 0, False)
    config = CpmmConfigAccount(0, 2_500, 120_000, 40_000, 0)
    return row(lambda updates: updates.raydium_cpmm(POOL, account, config, 10**9, 10**9))


@pytest.mark.parametrize(("status", "kind"), [(1, SNAPSHOT), (6, SNAPSHOT), (7, SNAPSHOT), (2, REMOVE), (4, REMOVE)])
def test_a_raydium_v4_pool_that_is_closed_is_removed(status: int, kind: int) -> None:
    assert amm_v4(status, 0)["kind"] == kind


@pytest.mark.parametrize(("status", "kind"), [(0, SNAPSHOT), (3, SNAPSHOT), (4, REMOVE), (7, REMOVE)])
def test_a_cpmm_pool_that_is_closed_is_removed(status: int, kind: int) -> None:
    assert cpmm(status, 0)["kind"] == kind


def test_a_pool_that_opens_later_tells_no_reserves() -> None:
    for told in (amm_v4(7, NOW_S + 1), cpmm(0, NOW_S + 1)):
        assert (told["kind"], told["reserve_a"], told["reserve_b"]) == (SNAPSHOT, b"", b"")
    for told in (amm_v4(7, NOW_S - 1), cpmm(0, NOW_S), amm_v4(7, NOW_S + 1, time_s=0)):
        assert int.from_bytes(told["reserve_a"], "little") == 10**9


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, SNAPSHOT),
        ({"status": 1}, REMOVE),
        ({"activation_type": 0, "activation_point": SLOT + 1}, REMOVE),
        ({"activation_type": 0, "activation_point": SLOT}, SNAPSHOT),
        ({"activation_type": 1, "activation_point": NOW_S + 1}, REMOVE),
        ({"activation_type": 1, "activation_point": NOW_S - 1}, SNAPSHOT),
    ],
)
def test_a_dlmm_pair_that_is_off_or_not_active_yet_is_removed(changes: dict[str, Any], kind: int) -> None:
    pair = registry.decode(*recorded("dlmm_pair"))
    assert isinstance(pair, LbPairAccount)
    assert row(lambda updates: updates.dlmm(POOL, replace(pair, **changes)))["kind"] == kind
