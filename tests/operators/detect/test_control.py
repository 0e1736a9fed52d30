"""A ``policy`` command changes what the detector asks for and leaves out; a rejected one changes nothing."""

from __future__ import annotations

import json

import base58
import pytest

from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.errors import StateError
from mevflow.operators.stage import Ack, Command
from tests.operators.detect.feeding import Tables, items, make, run, until
from tests.operators.detect.market_messages import batch, pair_market, swap
from tests.operators.detect.random_market import RandomMarket

FIRST, *REST = pair_market()


def say(stage: ArbitrageDetect, version: int = 1, kind: str = "policy", target: str = "found", **spec: object) -> Ack:
    payload = json.dumps({"min_profit_usd": 0.0, **spec}).encode()
    ack = stage.on_control(Command(f"c{version}", kind, target, version, payload))
    assert ack is not None
    return ack


def slots(tables: Tables) -> list[int]:
    return tables["opportunities"].column("slot").to_pylist() if "opportunities" in tables else []


def test_a_higher_least_profit_is_asked_from_then_on() -> None:
    stage = make()
    assert say(stage, min_profit_usd=1e6).status == "APPLIED"
    assert slots(run(stage, items([batch(FIRST, *REST)]))) == []


def test_a_denied_pool_is_left_out_and_its_episodes_close() -> None:
    stage = make()
    found = run(stage, [*items([batch(FIRST, *REST[:2])]), *until(1 << 62)], end=False)
    assert slots(found) == [3]
    assert say(stage, deny_pools=[base58.b58encode(b"q" * 32).decode()]).status == "APPLIED"
    after = run(stage, items([batch(swap(4, b"p", (10**12, 103_000 * 10**6)))]))["opportunities"].to_pylist()
    assert [(row["slot"], row["closed"]) for row in after] == [(4, True)]


def test_a_denied_mint_leaves_out_all_its_pools() -> None:
    stage = make()
    assert say(stage, deny_mints=["So11111111111111111111111111111111111111112"]).status == "APPLIED"
    assert slots(run(stage, items([batch(FIRST, *REST)]))) == []


def test_allowing_again_brings_a_pool_back() -> None:
    stage = make()
    say(stage, deny_pools=[base58.b58encode(b"q" * 32).decode()])
    run(stage, [*items([batch(FIRST, *REST[:1])]), *until(1 << 62)], end=False)
    assert say(stage, version=2).status == "APPLIED"
    assert slots(run(stage, items([batch(REST[1])]))) == [3]


def test_what_pays_since_a_pool_is_allowed_again_is_found_though_its_price_falls() -> None:
    stage = make()
    say(stage, deny_pools=[base58.b58encode(b"q" * 32).decode()])
    run(stage, [*items([batch(FIRST, *REST[:2])]), *until(1 << 62)], end=False)
    assert say(stage, version=2).status == "APPLIED"
    assert slots(run(stage, items([batch(swap(6, b"p", (10**12, 101_900 * 10**6)))]))) == [6]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"min_profit_usd": -1}, "out_of_bounds"),
        ({"min_profit_usd": 1e12}, "out_of_bounds"),
        ({"min_profit_usd": "much"}, "malformed"),
        ({"deny_pools": ["0OIl"]}, "bad_address"),
        ({"deny_pools": "all"}, "malformed"),
        ({"unheard_of": 1}, "malformed"),
        ({"max_hops": 5}, "out_of_bounds"),
        ({"hubs": ["0xzz"]}, "bad_address"),
        ({"costs": {"solana": {"signatures": 0}}}, "out_of_bounds"),
    ],
)
def test_what_makes_no_sense_is_rejected_and_changes_nothing(spec: dict[str, object], reason: str) -> None:
    stage = make()
    ack = say(stage, **spec)
    assert (ack.status, ack.reason) == ("REJECTED", reason)
    assert slots(run(stage, items([batch(FIRST, *REST)]))) == [3, 4, 5]


def test_longer_cycles_and_other_hubs_are_searched_from_then_on() -> None:
    batches = RandomMarket(1, pools=12, events=60).batches()
    half = batches[0].column("timestamp_us")[0].as_py() + 2 * 500_000
    found = {}
    for told, hops, spec in (
        ("by-file", 4, {}),
        ("by-command", 3, {"max_hops": 4}),
        ("no-hubs", 3, {"max_hops": 4, "hubs": []}),
        ("two", 4, {"max_hops": 2}),
    ):
        stage = make(max_hops=hops)
        run(stage, [*items(batches), *until(half)], end=False)
        assert say(stage, **spec).status == "APPLIED"
        table = run(stage, list(until(1 << 62)))["opportunities"]
        found[told] = {row["opportunity_id"]: len(row["legs"]) for row in table.to_pylist() if not row["closed"]}
    assert set(found["by-file"].values()) == {2, 3, 4}
    assert found["by-command"].keys() >= {each for each, legs in found["by-file"].items() if legs == 4}
    assert set(found["no-hubs"].values()) == set(found["two"].values()) == {2}


def test_another_cost_model_counts_from_then_on() -> None:
    stage = make()
    assert say(stage, costs={"solana": {"tip": {"absolute": 10**9}}}).status == "APPLIED"
    found = run(stage, items([batch(FIRST, *REST)]))["opportunities"].to_pylist()
    assert found[0]["net_profit_usd"] < found[0]["gross_profit_usd"] - 90


def test_versions_only_go_up() -> None:
    stage = make()
    assert say(stage, version=5, min_profit_usd=1.0).status == "APPLIED"
    assert say(stage, version=4).status == "STALE"
    assert say(stage, version=5, min_profit_usd=1.0).status == "DUPLICATE"
    assert say(stage, version=5, min_profit_usd=2.0).status == "REJECTED"


def test_commands_for_others_are_not_answered() -> None:
    stage = make()
    payload = b'{"min_profit_usd": 1}'
    assert stage.on_control(Command("c", "policy", "tip-linucb", 1, payload)) is None
    assert stage.on_control(Command("c", "model", "found", 1, payload)) is None


def test_a_policy_survives_a_restore() -> None:
    stage, again = make(), make()
    say(stage, version=3, min_profit_usd=1e6)
    again.restore(stage.snapshot())
    assert say(again, version=2).status == "STALE"
    assert slots(run(again, items([batch(FIRST, *REST)]))) == []


def test_rubbish_is_no_state() -> None:
    with pytest.raises(StateError):
        make().restore(b"\xc1 no snapshot")
