"""Whirlpool arithmetic: tick arrays, positions, and Orca's own quoter where its results are at hand."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, position_amounts
from mevflow.operators.parse.whirlpool.accounts import read_accounts
from tests.operators.amm.recorded import NOT_AT_HAND

#: Orca's quotes are under its own licence: they are read where they lie beside the repository, never copied in.
SHARED = Path(__file__).parents[5] / "shared" / "data"
QUOTES = SHARED / "amm_vectors" / "orca_wasm_quotes_whirlpool-snapshot-139535179.json"
SNAPSHOT = SHARED / "whirlpool_snapshots" / "whirlpool-snapshot-139535179.csv.gz"


def empty(tick: int, spacing: int) -> ConcentratedState:
    return ConcentratedState(tick_math_x64.price_at(tick), 10**9, tick, 2500, spacing)


@pytest.mark.parametrize(("tick", "start"), [(0, 0), (11263, 0), (11264, 11264), (-1, -11264), (-11264, -11264)])
def test_tick_arrays_start(tick: int, start: int) -> None:
    assert whirlpool.array_start(tick, 128) == start


def test_a_swap_reaches_the_end_of_its_third_array_and_no_further() -> None:
    down = whirlpool.quote_exact_in(empty(5000, 64), True, 10**30)
    assert (down.tick_after, down.filled) == (-2 * 88 * 64 - 1, False)
    up = whirlpool.quote_exact_in(empty(5000, 64), False, 10**30)
    assert (up.tick_after, up.filled) == (3 * 88 * 64 - 1, False)
    # From the last tick of an array a search to the right begins in the next one.
    up = whirlpool.quote_exact_in(empty(88 * 64 - 1, 64), False, 10**30)
    assert up.tick_after == 4 * 88 * 64 - 1


@given(
    tick=st.integers(-5_000, 5_000),
    lower=st.integers(-60, 59),
    width=st.integers(1, 60),
    liquidity=st.integers(1, 10**15),
)
def test_a_position_takes_no_less_than_it_gives(tick: int, lower: int, width: int, liquidity: int) -> None:
    price, low, high = tick_math_x64.price_at(tick), lower * 128, (lower + width) * 128
    put_in = position_amounts(whirlpool.RULES, price, tick, low, high, liquidity, True)
    taken = position_amounts(whirlpool.RULES, price, tick, low, high, liquidity, False)
    for side in (0, 1):
        assert 0 <= put_in[side] - taken[side] <= 1
    if tick < low:
        assert put_in[1] == 0
    if tick >= high:
        assert put_in[0] == 0


def test_what_is_not_there_cannot_be_had() -> None:
    with pytest.raises(AmmError, match="token A"):
        whirlpool.next_price_a(1 << 64, 10, 11, False)
    with pytest.raises(AmmError, match="token B"):
        whirlpool.next_price_b(1 << 64, 10, 11, False)
    with pytest.raises(AmmError, match="no liquidity"):
        whirlpool.next_price_b(1 << 64, 0, 1, True)


@pytest.mark.skipif(not QUOTES.exists(), reason=NOT_AT_HAND)
def test_orca_quotes() -> None:
    with gzip.open(SNAPSHOT, "rt") as file:
        rows = [(row[0], row[1]) for row in csv.reader(file)]
    document = {"slot": 0, "accounts": [{"pubkey": key, "data": data} for key, data in rows]}
    accounts = read_accounts(msgspec.json.encode(document))
    compared = refused = unfit = 0
    for quoted in json.loads(QUOTES.read_text()):
        pool = accounts.pools[quoted["pool"]]
        ticks, nets = accounts.tick_map(quoted["pool"]).arrays()
        state = ConcentratedState(
            pool.sqrt_price, pool.liquidity, pool.tick, pool.fee_pips, pool.tick_spacing, ticks, nets
        )
        for quote in quoted["quotes"]:
            try:
                mine = whirlpool.quote_exact_in(state, quote["aToB"], int(quote["amountIn"]))
            except AmmError:
                # Accounts of one dump were not all read in the same slot: a few ticks do not fit their pool.
                unfit += 1
                continue
            if "error" in quote:
                assert not mine.filled
                refused += 1
            else:
                assert mine.amount_out == int(quote["amountOut"])
                compared += 1
    assert (compared, refused, unfit) == (331, 68, 9)
