"""Every decoder: recorded accounts, and no bytes that raise anything but AccountError."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.accounts import dlmm, raydium_amm, raydium_clmm, registry, whirlpool
from mevflow.operators.accounts.errors import AccountError

RECORDED = Path(__file__).parents[2] / "data" / "carbon_accounts.json.gz"


def recorded(name: str) -> tuple[bytes, bytes]:
    with gzip.open(RECORDED, "rt") as file:
        account = json.load(file)[name]
    return base58.b58decode(account["owner"]), base64.b64decode(account["data"])


def test_whirlpool() -> None:
    pool = registry.decode(*recorded("whirlpool"))
    assert isinstance(pool, whirlpool.WhirlpoolAccount)
    assert (pool.tick_spacing, pool.fee_pips, pool.protocol_fee_bps, pool.tick) == (32896, 10_000, 1_300, 223_338)
    assert (pool.liquidity, pool.sqrt_price) == (141421356, 1304381782533278221200000)
    assert pool.mint_a == base58.b58decode("So11111111111111111111111111111111111111112")
    assert not pool.adaptive_fee


def test_tick_arrays_of_both_kinds() -> None:
    fixed = registry.decode(*recorded("whirlpool_tick_array"))
    assert isinstance(fixed, whirlpool.TickArrayAccount)
    assert fixed.start_tick == -2894848
    assert fixed.ticks(32896) == [(-2894848 + 75 * 32896, 141421356, 141421356)]
    dynamic = registry.decode(*recorded("whirlpool_dynamic_tick_array"))
    assert isinstance(dynamic, whirlpool.TickArrayAccount)
    assert (dynamic.start_tick, dynamic.initialized) == (45056, ((32, 74989308705, 74989308705),))


def test_raydium_clmm() -> None:
    pool = registry.decode(*recorded("clmm_pool"))
    assert isinstance(pool, raydium_clmm.ClmmPoolAccount)
    assert (pool.decimals_a, pool.decimals_b, pool.tick_spacing, pool.tick) == (9, 6, 1, 71168)
    assert (pool.liquidity, pool.sqrt_price) == (3464101788356, 647525941329892376628)
    assert not pool.swaps_disabled
    config = registry.decode(*recorded("clmm_config"))
    assert config == raydium_clmm.ClmmConfigAccount(4, 120_000, 100, 1, 40_000)
    array = registry.decode(*recorded("clmm_tick_array"))
    assert isinstance(array, raydium_clmm.ClmmTickArrayAccount)
    assert (array.start_tick, array.ticks) == (-13860, ())


def test_dlmm_pair() -> None:
    pair = registry.decode(*recorded("dlmm_pair"))
    assert isinstance(pair, dlmm.LbPairAccount)
    assert (pair.active_id, pair.bin_step_bps, pair.base_factor) == (-1054, 80, 62_500)
    assert (pair.volatility_accumulator, pair.volatility_reference, pair.index_reference) == (150_000, 75_000, -886)
    assert pair.last_update_s == 1748616125


def amm_v4(**changed: int) -> bytes:
    """An AMM v4 account by its layout: 18 numbers and eight fee numbers up to byte 192, then the state."""
    numbers = [0] * 94
    fields = {"status": 0, "decimals_a": 4, "decimals_b": 5, "fee": 22, "of": 23, "owed_a": 24, "owed_b": 25}
    values = {"status": 6, "decimals_a": 9, "decimals_b": 6, "fee": 25, "of": 10_000, "owed_a": 7, "owed_b": 8}
    for name, value in {**values, **changed}.items():
        numbers[fields[name]] = value
    data = bytearray(b"".join(number.to_bytes(8, "little") for number in numbers))
    for place in range(12):
        data[336 + 32 * place : 368 + 32 * place] = bytes([place + 1]) * 32
    return bytes(data[: raydium_amm.AMM_SIZE])


def test_raydium_v4() -> None:
    pool = registry.decode(registry.RAYDIUM_AMM_V4, amm_v4())
    assert isinstance(pool, raydium_amm.AmmV4Account)
    assert (pool.status, pool.decimals_a, pool.decimals_b) == (6, 9, 6)
    assert (pool.swap_fee_numerator, pool.swap_fee_denominator, pool.owed_a, pool.owed_b) == (25, 10_000, 7, 8)
    assert pool.swaps_enabled
    # Published offsets of the account: vaults at 336 and 368, mints at 400 and 432, market at 528.
    keys = (pool.vault_a, pool.vault_b, pool.mint_a, pool.mint_b, pool.market)
    assert [key[0] for key in keys] == [1, 2, 3, 4, 7]
    assert not registry.decode(registry.RAYDIUM_AMM_V4, amm_v4(status=4)).swaps_enabled  # type: ignore[union-attr]


@pytest.mark.parametrize("changed", [{"of": 0}, {"fee": 10_000}, {"status": 8}, {"decimals_a": 256}])
def test_raydium_v4_values_that_cannot_be(changed: dict[str, int]) -> None:
    with pytest.raises(AccountError) as refused:
        registry.decode(registry.RAYDIUM_AMM_V4, amm_v4(**changed))
    assert refused.value.reason == "value"


def test_raydium_cpmm() -> None:
    keys = b"".join(bytes([place + 1]) * 32 for place in range(10))
    numbers = b"".join(n.to_bytes(8, "little") for n in (10**6, 1, 2, 3, 4, 99, 500))
    tail = bytes([1, 1]) + bytes(6) + (5).to_bytes(8, "little") + (6).to_bytes(8, "little") + bytes(8 * 28)
    data = raydium_amm.CPMM_POOL + keys + bytes([255, 2, 9, 6, 9]) + numbers + tail
    pool = registry.decode(registry.RAYDIUM_CPMM, data)
    assert isinstance(pool, raydium_amm.CpmmPoolAccount)
    assert (pool.config[0], pool.vault_a[0], pool.vault_b[0], pool.mint_a[0], pool.mint_b[0]) == (1, 3, 4, 6, 7)
    assert (pool.status, pool.decimals_a, pool.decimals_b) == (2, 6, 9)
    # Protocol 1 and 2, fund 3 and 4, creator 5 and 6.
    assert (pool.owed_a, pool.owed_b, pool.open_time_s) == (1 + 3 + 5, 2 + 4 + 6, 99)
    assert (pool.creator_fee_on, pool.creator_fee_enabled) == (1, True)


ACCOUNTS = [
    (registry.WHIRLPOOL, whirlpool.POOL, whirlpool.POOL_SIZE),
    (registry.WHIRLPOOL, whirlpool.FIXED_TICK_ARRAY, whirlpool.FIXED_TICK_ARRAY_SIZE),
    (registry.WHIRLPOOL, whirlpool.DYNAMIC_TICK_ARRAY, whirlpool.DYNAMIC_TICK_ARRAY_SIZE),
    (registry.RAYDIUM_CLMM, raydium_clmm.POOL, raydium_clmm.POOL_SIZE),
    (registry.RAYDIUM_CLMM, raydium_clmm.TICK_ARRAY, raydium_clmm.TICK_ARRAY_SIZE),
    (registry.RAYDIUM_CLMM, raydium_clmm.CONFIG, raydium_clmm.CONFIG_SIZE),
    (registry.RAYDIUM_CPMM, raydium_amm.CPMM_POOL, raydium_amm.CPMM_POOL_SIZE),
    (registry.RAYDIUM_CPMM, raydium_amm.CPMM_CONFIG, raydium_amm.CPMM_CONFIG_SIZE),
    (registry.METEORA_DLMM, dlmm.PAIR, dlmm.PAIR_SIZE),
    (registry.METEORA_DLMM, dlmm.BIN_ARRAY, dlmm.BIN_ARRAY_SIZE),
    (registry.RAYDIUM_AMM_V4, b"", raydium_amm.AMM_SIZE),
]


@given(st.sampled_from(ACCOUNTS), st.integers(0, 2**32), st.integers(-400, 40))
def test_no_account_raises_anything_but_its_own_error(
    account: tuple[bytes, bytes, int], seed: int, longer: int
) -> None:
    program, first, size = account
    noise = (seed.to_bytes(5, "little") * (size // 5 + 100))[: max(size + longer - len(first), 0)]
    reason = refusal(program, first + noise)
    assert reason in ("", "truncated", "value")
    # What is too short is never looked at further.
    assert longer >= 0 or reason == "truncated"


def refusal(program: bytes, data: bytes) -> str:
    """Why the account is refused; empty if it is read."""
    try:
        registry.decode(program, data)
    except AccountError as refused:
        return refused.reason
    return ""


@given(st.sampled_from([program for program, _, _ in ACCOUNTS]), st.binary(max_size=80))
def test_no_bytes_raise_anything_but_their_own_error(program: bytes, data: bytes) -> None:
    with pytest.raises(AccountError):
        registry.decode(program, data)


@pytest.mark.parametrize(
    "name",
    ["whirlpool", "whirlpool_tick_array", "whirlpool_dynamic_tick_array", "clmm_pool", "clmm_config", "dlmm_pair"],
)
def test_a_truncated_account_says_so(name: str) -> None:
    program, data = recorded(name)
    for length in {8, 9, len(data) // 2, len(data) - 1} - {len(data)}:
        with pytest.raises(AccountError) as refused:
            registry.decode(program, data[:length])
        assert refused.value.reason == "truncated"


@pytest.mark.parametrize("name", ["whirlpool_fee_tier", "fluxbeam_swap"])
def test_an_unknown_account_says_so(name: str) -> None:
    with pytest.raises(AccountError) as refused:
        registry.decode(*recorded(name))
    assert refused.value.reason == "unknown"


def test_a_bitmap_that_lies() -> None:
    program, data = recorded("whirlpool_dynamic_tick_array")
    lying = bytearray(data)
    lying[8 + 4 + 32] ^= 1
    with pytest.raises(AccountError, match="bitmap"):
        registry.decode(program, bytes(lying))
