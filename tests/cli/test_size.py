"""``mevflow size`` on files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mevflow.cli.size import command
from mevflow.operators.errors import CheckFailedError, UsageError


def v2(reserve_a: int | str, reserve_b: int | str, a_to_b: bool = True, **more: Any) -> dict[str, Any]:
    return {"venue": "uniswap_v2", "reserve_a": reserve_a, "reserve_b": reserve_b, "a_to_b": a_to_b, **more}


CYCLE = [v2(10**24, 2 * 10**24), v2(str(10**24), str(19 * 10**23), False)]
EVERY_VENUE = [
    v2(10**12, 10**12, fee_pips=3000),
    {"venue": "raydium_v4", "reserve_a": 10**12, "reserve_b": 10**12, "a_to_b": True},
    {"venue": "raydium_cpmm", "reserve_a": 10**12, "reserve_b": 10**12, "a_to_b": True},
    *(
        {"venue": name, key: str(one + 5), "liquidity": "10000000000000", "tick": 0, "tick_spacing": 60,
         "fee_pips": 500, "a_to_b": True, "ticks": [[-600, "10000000000000"], [600, "-10000000000000"]]}
        for name, key, one in (
            ("uniswap_v3", "sqrt_price_x96", 1 << 96),
            ("orca_whirlpool", "sqrt_price_x64", 1 << 64),
            ("raydium_clmm", "sqrt_price_x64", 1 << 64),
        )
    ),
    {"venue": "meteora_dlmm", "bin_step_bps": 10, "active_id": 0, "a_to_b": True, "now_s": 100,
     "fees": {"base_factor": 1000}, "bins": [[-1, 0, 10**12], [0, 10**12, 10**12], [1, 10**12, 0]]},
    {"venue": "curve_stable", "balances": [10**24] * 3, "rates": [10**18] * 3, "amp": 100, "fee": 4_000_000,
     "i": 0, "j": 2},
    {"venue": "saber", "reserve_a": 10**12, "reserve_b": 10**12, "amp": 100, "fee_numerator": 4,
     "fee_denominator": 10_000, "a_to_b": False},
    {"venue": "aerodrome_stable", "reserve_a": 10**12, "reserve_b": 10**12, "decimals": [6, 6], "fee_pips": 500,
     "a_to_b": False},
    {"venue": "balancer_weighted", "balances": [10**12, 10**12], "weights": [5 * 10**17, 5 * 10**17],
     "decimals": [6, 6], "fee": 10**15, "i": 0, "j": 1},
    *(
        {"venue": name, "sqrt_price_x96": str((1 << 96) + 5), "liquidity": "10000000000000", "tick": 0,
         "tick_spacing": 60, "fee_pips": 500, "a_to_b": True,
         "ticks": [[-600, "10000000000000"], [600, "-10000000000000"]]}
        for name in ("slipstream", "uniswap_v4")
    ),
]  # fmt: skip


def run(tmp_path: Path, tree: Any, *options: str) -> dict[str, Any]:
    file = tmp_path / "cycles.json"
    file.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    outcome = CliRunner().invoke(command, [str(file), "--json", *options], catch_exceptions=True)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def test_pools_side_by_side_share_an_amount(tmp_path: Path) -> None:
    beside = [v2(10**24, 2 * 10**24), v2(3 * 10**24, 6 * 10**24)]
    cycles = [
        {"name": "free", "legs": [beside, CYCLE[1]]},
        {"name": "dear", "legs": [beside, CYCLE[1]], "cost_per_swap": str(10**24)},
        {"name": "plain", "legs": [beside[1], CYCLE[1]]},
    ]
    free, dear, plain = run(tmp_path, {"cycles": cycles})["cycles"]
    one, other = free["pools"][0]
    assert free["swaps"] == 3
    assert free["amount_in"] == one["amount_in"] + other["amount_in"]
    assert other["amount_in"] == pytest.approx(3 * one["amount_in"], rel=1e-6)
    assert free["profit"] > free["single_profit"] == pytest.approx(plain["profit"], rel=1e-9)
    assert dear["swaps"] == 2
    assert dear["profit"] == dear["single_profit"] == free["single_profit"]


def test_input_amounts_and_profit(tmp_path: Path) -> None:
    (cycle,) = run(tmp_path, {"cycles": [{"name": "two pairs", "legs": CYCLE}]})["cycles"]
    assert cycle["name"] == "two pairs"
    assert cycle["amounts"][0] == cycle["amount_in"] > 0
    assert cycle["profit"] == cycle["amounts"][-1] - cycle["amounts"][0] > 0
    assert len(cycle["amounts"]) == 3


@pytest.mark.parametrize("leg", EVERY_VENUE, ids=lambda leg: leg["venue"])
def test_every_venue(tmp_path: Path, leg: dict[str, Any]) -> None:
    (cycle,) = run(tmp_path, [{"legs": [leg, v2(10**15, 13 * 10**14)]}])["cycles"]
    assert cycle["profit"] > 0


def test_a_cycle_that_gains_nothing_is_zero(tmp_path: Path) -> None:
    (cycle,) = run(tmp_path, [{"legs": [v2(10**9, 10**9), v2(10**9, 10**9)]}])["cycles"]
    assert (cycle["amount_in"], cycle["profit"], cycle["amounts"]) == (0, 0, [0, 0, 0])


def test_check_says_equal_better_or_different(tmp_path: Path) -> None:
    (best,) = run(tmp_path, [{"legs": CYCLE}])["cycles"]
    expected = {"amount_in": best["amount_in"], "profit": str(best["profit"])}
    found = run(
        tmp_path,
        [
            {"legs": CYCLE, "expected": expected},
            {"legs": CYCLE, "expected": {"amount_in": best["amount_in"] // 2}},
            {"legs": CYCLE},
        ],
        "--check",
    )
    assert (found["checked"], found["equal"], found["better"], found["different"]) == (2, 1, 1, 0)
    with pytest.raises(CheckFailedError, match="1 of 1"):
        run(tmp_path, [{"legs": CYCLE, "expected": {"profit": best["profit"] * 2}}], "--check")
    with pytest.raises(UsageError, match="no cycle has expected"):
        run(tmp_path, [{"legs": CYCLE}], "--check")


def v3(**changes: Any) -> dict[str, Any]:
    return {**EVERY_VENUE[3], **changes}


def dlmm(**changes: Any) -> dict[str, Any]:
    return {**EVERY_VENUE[6], **changes}


def stable(venue: str, **changes: Any) -> dict[str, Any]:
    return {**next(leg for leg in EVERY_VENUE if leg["venue"] == venue), **changes}


#: Thirty million dollars of each coin.
TRICRYPTO = {
    "venue": "curve_tricrypto", "balances": [3 * 10**13, 10**11, str(15 * 10**21)], "precisions": [10**12, 10**10, 1],
    "price_scale": [str(3 * 10**22), str(2 * 10**21)], "ann": 1_707_629, "gamma": 11_809_167_828_997,
    "d": str(9 * 10**25), "mid_fee": 3 * 10**6, "out_fee": 3 * 10**7, "fee_gamma": 5 * 10**14, "i": 0, "j": 1,
}  # fmt: skip
PUMP = {"venue": "pump_swap", "reserve_a": 10**12, "reserve_b": 10**11, "a_to_b": True, "lp_fee_bps": 20,
        "protocol_fee_bps": 5}  # fmt: skip
WEIGHTED = {"venue": "balancer_weighted", "balances": [10**15, 10**15], "decimals": [18, 18], "i": 0, "j": 1,
            "weights": [8 * 10**17, 2 * 10**17], "fee": 3 * 10**15}  # fmt: skip
SOLIDLY = {"venue": "aerodrome_stable", "reserve_a": 10**15, "reserve_b": 10**15, "decimals": [6, 6], "a_to_b": True}
PART = {"known_tick_lower": -60, "known_tick_upper": 60}
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "tick and price": (v3(tick=5000), "leg 0: tick is 5000, where sqrt_price_x96 .* is at tick 0"),
    "a tick off the spacing": (v3(ticks=[[-601, 10**13], [600, -(10**13)]]), "leg 0: ticks name -601"),
    "a tick that no pool has": (v3(ticks=[[-887280, 10**13], [600, -(10**13)]]), "leg 0: ticks name -887280"),
    "a price that no pool has": (v3(sqrt_price_x96=5), "leg 0: sqrt_price_x96 is 5"),
    "liquidity beyond 128 bits": (v3(liquidity=1 << 130), "leg 0: liquidity is"),
    "a net beyond 128 bits": (v3(ticks=[[-600, 1 << 129], [600, -(1 << 129)]]), "leg 0: ticks have"),
    "liquidity unlike its ticks": (v3(liquidity=10**13 + 1), "leg 0: liquidity is .* add up to"),
    "ticks that do not end": (v3(ticks=[[-600, 10**13]]), "leg 0: ticks add up to"),
    "less than no liquidity": (v3(**PART, ticks=[[60, -(10**14)]]), "leg 0: ticks leave a liquidity of -"),
    "a Whirlpool's tick and price": ({**EVERY_VENUE[4], "tick": 7}, "leg 0: tick is 7"),
    "a CLMM's liquidity": ({**EVERY_VENUE[5], "liquidity": 5}, "leg 0: liquidity is 5"),
    "reserves beyond uint112": (v2(1 << 113, 5), "leg 0: reserve_a is"),
    "a PumpSwap vault beyond 64 bits": ({**PUMP, "reserve_b": 1 << 64}, "leg 0: reserve_b is"),
    "PumpSwap fees of all": ({**PUMP, "creator_fee_bps": 9_975}, "leg 0: the fees are 10000"),
    "a vault beyond 64 bits": ({**EVERY_VENUE[1], "reserve_b": 1 << 64}, "leg 0: reserve_b is"),
    "a bin on the wrong side": (dlmm(bins=[[-1, 5, 5], [0, 5, 5]]), "leg 0: bins hold a token in -1"),
    "a bin's price": (dlmm(bins=[[1, 5, 0, 77]]), "leg 0: bins give 1 the price 77"),
    "a bin beyond 64 bits": (dlmm(bins=[[1, 1 << 64, 0]]), "leg 0: bins hold more"),
    "a bin of less than nothing": (dlmm(bins=[[1, -5, 0]]), "leg 0: bins hold less than nothing in 1"),
    "a bin twice": (dlmm(bins=[[1, 5, 0], [1, 6, 0]]), "bins name 1 twice"),
    "a step of more than all": (dlmm(bin_step_bps=10_001), "leg 0: bin_step_bps is 10001"),
    "a power without end": (dlmm(fees={"base_factor": 1, "base_fee_power": 10**6}), "leg 0: base_fee_power is"),
    "more volatility than there can be": (dlmm(volatility={"accumulator": 1}), "leg 0: accumulator is 1"),
    "a Curve fee of all": (stable("curve_stable", fee=10**10), "leg 0: fee is"),
    "an owner's share of more": (stable("curve_stable", admin_fee=10**11), "leg 0: admin_fee is"),
    "an off-peg fee of all": (stable("curve_stable", offpeg_fee_multiplier=10**20), "leg 0: offpeg_fee_multiplier is"),
    "an amplification of less than a unit": (stable("curve_stable", amp=1, amp_precision=100), "leg 0: amp is"),
    "balances that overflow": (stable("curve_stable", balances=[1 << 250] * 3), "leg 0: balances have no invariant"),
    "a Saber fee of all": (stable("saber", fee_numerator=5, fee_denominator=5), "leg 0: fee_numerator is 5"),
    "a Saber vault beyond 64 bits": (stable("saber", reserve_b=1 << 64), "leg 0: reserve_b is"),
    "a Saber amplification": (stable("saber", amp=10**7), "leg 0: amp is"),
    "what is known elsewhere": (v3(known_tick_lower=60, known_tick_upper=600), "leg 0: tick is 0, outside what"),
    "what is known backwards": (v3(known_tick_lower=60, known_tick_upper=-60), "leg 0: tick is 0, outside what"),
    "bins that are known elsewhere": (dlmm(known_lower=1, known_upper=9), "leg 0: active_id is 0, outside what"),
    "a filter beyond the decay": (
        dlmm(fees={"base_factor": 1, "filter_period_s": 30, "decay_period_s": 20}),
        "leg 0: filter_period_s is 30, above 20",
    ),
    "a reference of more than there can be": (dlmm(volatility={"reference": 1}), "leg 0: reference is 1"),
    "an amplification in other units": (stable("curve_stable", amp_precision=10), "leg 0: amp_precision is 10"),
    "a weighted pool without a fee": ({**WEIGHTED, "fee": 0}, "leg 0: fee is 0"),
    "a weighted fee below the least": ({**WEIGHTED, "fee": 10**11}, "leg 0: fee is 100000000000"),
    "weights of more than all": ({**WEIGHTED, "weights": [9 * 10**17, 2 * 10**17]}, "leg 0: weights are"),
    "a part of a basis point": ({**SOLIDLY, "fee_pips": 550}, "leg 0: fee_pips is 550"),
    "more than a factory lets be a fee": (
        {**v2(10**9, 10**9), "venue": "aerodrome_volatile", "fee_pips": 30_100},
        "leg 0: fee_pips is 30100",
    ),
    "an invariant unlike its balances": ({**TRICRYPTO, "d": 1}, "leg 0: balances and d"),
    "a tricrypto fee of more than all": ({**TRICRYPTO, "mid_fee": 10**11}, "leg 0: mid_fee is"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_state_that_contradicts_itself_is_refused_by_file_cycle_and_key(tmp_path: Path, name: str) -> None:
    leg, says = CONTRADICTIONS[name]
    with pytest.raises(UsageError, match=f"cycles.json:odd: {says}"):
        run(tmp_path, [{"name": "odd", "legs": [leg, CYCLE[1]]}])


def test_a_tricrypto_pool_about_its_invariant_is_sized(tmp_path: Path) -> None:
    (cycle,) = run(tmp_path, [{"legs": [TRICRYPTO, v2(10**11, 4 * 10**13)]}])["cycles"]
    assert cycle["profit"] > 0


def test_an_off_peg_fee_leaves_less(tmp_path: Path) -> None:
    pool = {**EVERY_VENUE[7], "balances": [10**14] * 3, "one_division": True}
    legs = [{**pool, "offpeg_fee_multiplier": times * 10**10} for times in (1, 9)]
    plain, grown = (run(tmp_path, [{"legs": [leg, v2(10**15, 13 * 10**14)]}])["cycles"][0] for leg in legs)
    assert 0 < grown["profit"] < plain["profit"]


def test_a_metapool_with_an_off_peg_fee_is_refused(tmp_path: Path) -> None:
    stable = {key: value for key, value in EVERY_VENUE[7].items() if key not in ("venue", "i", "j")}
    base = {**stable, "lp_supply": str(10**24)}
    meta = {"venue": "curve_meta", "base": base}
    pool = {**stable, "balances": [10**24] * 2, "rates": [10**18] * 2, "offpeg_fee_multiplier": 2 * 10**10}
    with pytest.raises(UsageError, match="offpeg_fee_multiplier"):
        run(tmp_path, [{"legs": [{**meta, "pool": pool, "i": 0, "j": 1}, CYCLE[1]]}])


def test_ticks_that_are_known_in_part_need_not_add_up(tmp_path: Path) -> None:
    part = v3(**PART, liquidity=5 * 10**13, ticks=[[60, -(10**13)]])
    (cycle,) = run(tmp_path, [{"legs": [part, v2(10**15, 13 * 10**14)]}])["cycles"]
    assert cycle["profit"] > 0


def test_an_input_that_the_contract_would_refuse_is_cut(tmp_path: Path) -> None:
    most = (1 << 112) - 1
    legs = [v2(most - 10**20, most - 10**20), v2(most // 2, most - 10**20)]
    (cycle,) = run(tmp_path, [{"legs": legs}])["cycles"]
    assert 0 < cycle["amount_in"] <= 10**20
    assert cycle["amount_in"] > 99 * 10**18, "as much as fits"


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ("{", "not JSON"),
        ({"pools": []}, "no list of cycles"),
        ([{"name": "x", "legs": []}], "x.*1 to 16"),
        ([{"legs": [{"venue": "nowhere"}]}], "cycle 0.*venue of leg 0"),
        ([{"legs": [v2(0, 5)]}], "reserve_a of leg 0 is at least 1"),
        ([{"legs": [v2("ten", 5)]}], "reserve_a of leg 0 is an integer"),
        ([{"legs": [v2(5, 5, liquidity=3)]}], "leg 0 has no key liquidity"),
        ([{"legs": [v2(5, 5, fee_pips=1_000_000)]}], "fee_pips"),
        ([{"legs": [{**v2(5, 5), "a_to_b": 1}]}], "true or false"),
        ([{"legs": CYCLE, "expected": {"gain": 1}}], "expected has"),
        ([7], "a cycle is an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_case(tmp_path: Path, tree: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(tmp_path, tree)
