"""A cycle through recorded pools: Curve's 3pool at a block, and a DLMM pair with its 48 bin arrays."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mevflow.operators.accounts import registry
from mevflow.operators.accounts.dlmm import BinArrayAccount, LbPairAccount
from mevflow.operators.accounts.states import dlmm_state
from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.v1 import market_pb2 as market
from tests.operators.amm.recorded import SHARED, degenbot, needs_shared
from tests.operators.amm.stable.test_swap import tripool
from tests.operators.detect.feeding import items, make, run, unsigned
from tests.operators.detect.market_messages import batch, swap, u128


def amounts(row: dict[str, Any]) -> list[int]:
    return [unsigned(row["amount_in"]), *(unsigned(leg["amount_out"]) for leg in row["legs"])]


def best_near(gain: Any, amount: int) -> bool:
    """No input a tenth of a percent away gains more."""
    return bool(gain(amount) >= max(gain(amount - amount // 1_000), gain(amount + amount // 1_000)))


def test_three_pool_against_a_pair() -> None:
    state, symbols = tripool()
    recorded = degenbot("curve_tripool_state")
    mints = [bytes.fromhex(token["address"][2:]) for token in recorded["tokens"]]
    dai, usdt = symbols.index("DAI"), symbols.index("USDT")
    told = market.StableCurve(amp=state.amp, fee_numerator=state.fee, admin_fee_numerator=state.admin_fee)
    for mint, balance, rate in zip(mints, state.balances, state.rates, strict=True):
        told.coins.add(mint=mint, balance=u128(balance), rate=u128(rate))
    block = {"chain": market.CHAIN_ETHEREUM, "slot": recorded["block"], "timestamp_us": 1}
    update = market.PoolUpdate(
        **block, pool=b"3" * 20, venue=market.VENUE_CURVE_STABLE, kind=market.PoolUpdate.KIND_SNAPSHOT,
        mint_a=mints[0], mint_b=mints[1], stable=told,
    )  # fmt: skip
    reserves = 10**7 * 10**18, 10**7 * 10**6 * 1_012 // 1_000  # a dollar and 1.2 cents of USDT for a DAI
    slot = block.pop("slot")
    pair = swap(slot, b"q" * 20, reserves, mints=(mints[dai], mints[usdt]), fee_pips=3_000, **block)
    rows = run(make(), [*items([batch(update)]), *items([batch(pair)])])["opportunities"].to_pylist()
    assert [row["closed"] for row in rows] == [False]
    row = rows[0]
    # USDT is a hub, DAI no more than a token: the cycle begins with USDT.
    assert [leg["mint_in"] for leg in row["legs"]] == [mints[usdt], mints[dai]]
    paid, middle, back = amounts(row)
    assert stable_swap.quote_exact_in(state, usdt, dai, paid).amount_out == middle
    two = PairState(*reserves, fee_a=3_000, fee_b=3_000, fee_denominator=10**6)
    assert uniswap_v2.quote_exact_in(two, True, middle).amount_out == back > paid

    def gain(amount: int) -> int:
        middle = stable_swap.quote_exact_in(state, usdt, dai, amount).amount_out
        return uniswap_v2.quote_exact_in(two, True, middle).amount_out - amount

    assert best_near(gain, paid)


@needs_shared
@pytest.mark.parametrize("dearer", [True, False])
def test_a_recorded_pair_of_bins_against_reserves(dearer: bool) -> None:
    recorded = json.loads((SHARED / "amm_vectors" / "meteora_dlmm_reference.json").read_text())
    account = registry.decode(registry.METEORA_DLMM, base64.b64decode(recorded["lbPairB64"]))
    assert isinstance(account, LbPairAccount)
    arrays = [registry.decode(registry.METEORA_DLMM, base64.b64decode(a["data"])) for a in recorded["binArraysB64"]]
    held = [array for array in arrays if isinstance(array, BinArrayAccount)]
    now_s = int(recorded["clockTs"])
    updates = PoolUpdates(Seen(1, now_s * 1_000_000))
    updates.dlmm(b"d" * 32, account, held)
    state = dlmm_state(account, held)
    price = dlmm.marginal_price(state, True, now_s) * (1.01 if dearer else 0.99)
    reserves = 10**12, int(10**12 * price)
    mints = account.mint_a, account.mint_b
    pair = swap(2, b"q", reserves, mints=mints, fee_pips=2_500, timestamp_us=(now_s + 1) * 1_000_000)
    rows = run(make(), [*items([updates.take()]), *items([batch(pair)])])["opportunities"].to_pylist()
    assert len(rows) == 1
    bins_first = rows[0]["legs"][0]["pool"] == b"d" * 32
    a_to_b = rows[0]["legs"][int(not bins_first)]["mint_in"] == account.mint_a
    assert a_to_b != dearer
    two = PairState(*reserves, fee_a=2_500, fee_b=2_500, fee_denominator=10**6)

    def out(amount: int, first: bool) -> int:
        if first == bins_first:
            found = dlmm.quote_exact_in(state, a_to_b, amount, now_s + 1)
            return found.amount_out if found.filled else 0
        return uniswap_v2.quote_exact_in(two, not a_to_b, amount).amount_out

    paid, middle, back = amounts(rows[0])
    assert (out(paid, True), out(middle, False)) == (middle, back)
    assert best_near(lambda amount: out(out(amount, True), False) - amount, paid)
