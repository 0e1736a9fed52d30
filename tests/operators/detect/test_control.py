"""A ``policy`` command changes what the detector asks for and leaves out; a rejected one changes nothing."""

from __future__ import annotations

import json

import base58
import pytest

from operators.detect.stage import ArbitrageDetect
from operators.errors import StateError
from operators.stage import Ack, Command
from tests.operators.detect.feeding import Tables, items, make, run, until
from tests.operators.detect.market_messages import batch, pair_market, swap

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


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"min_profit_usd": -1}, "OUT_OF_BOUNDS"),
        ({"min_profit_usd": 1e12}, "OUT_OF_BOUNDS"),
        ({"min_profit_usd": "much"}, "BAD_PAYLOAD"),
        ({"deny_pools": ["0OIl"]}, "BAD_ADDRESS"),
        ({"deny_pools": "all"}, "BAD_PAYLOAD"),
        ({"unheard_of": 1}, "BAD_PAYLOAD"),
    ],
)
def test_what_makes_no_sense_is_rejected_and_changes_nothing(spec: dict[str, object], reason: str) -> None:
    stage = make()
    ack = say(stage, **spec)
    assert (ack.status, ack.reason) == ("REJECTED", reason)
    assert slots(run(stage, items([batch(FIRST, *REST)]))) == [3, 4, 5]


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
