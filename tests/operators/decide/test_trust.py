"""What a decision loop must not do: die of a model, change by being asked, count one gap twice, learn from nonsense."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.learn.linucb import LinUcb
from mevflow.operators.learn.state import PolicyState, pack
from mevflow.operators.stage import Command
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import batch, number, opportunity, stream
from tests.operators.decide.test_stage import (
    END,
    LATER,
    ONE_ARM,
    OPENED,
    POLICY,
    closed,
    command,
    rows,
    run,
    stage,
    status,
)

BOTH = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)


def learned(one: BanditDecide, chain: int = market.CHAIN_SOLANA) -> bytes:
    """What a chain's policy has learned."""
    return msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[chain].policy


def model(state: bytes, policy: str = "tip-linucb", **given: Any) -> dict[str, Any]:
    return {"policy": policy, "state": base64.b64encode(state).decode(), **given}


def taught(seed: int = 1, **given: Any) -> BanditDecide:
    one = stage(**given)
    list(one.process("in", stream(200, seed=seed, chains=BOTH)))
    return one


@pytest.mark.parametrize("damage", ["nan", "huge", "negative", "singular", "updates", "version 1"])
def test_a_model_that_cannot_decide_is_rejected_and_the_stage_goes_on(damage: str) -> None:
    saved = msgspec.msgpack.decode(learned(taught()), type=PolicyState)
    gram = np.frombuffer(saved.arrays["gram"].data).reshape(saved.arrays["gram"].shape).copy()
    changed = {"nan": gram * np.nan, "huge": gram + 1e308, "negative": -gram, "singular": gram * 0.0}.get(damage, gram)
    saved = msgspec.structs.replace(
        saved,
        arrays={**saved.arrays, "gram": pack(changed)},
        updates=-5 if damage == "updates" else saved.updates,
        version=1 if damage == "version 1" else saved.version,
    )
    one, twin = taught(), taught()
    ack = one.on_control(command("model", 1, model(msgspec.msgpack.encode(saved))))
    assert ack is not None
    assert (ack.status, ack.reason) == ("REJECTED", "bad_model")
    after = stream(100, seed=9)
    assert rows(one.process("in", after), "decisions") == rows(twin.process("in", after), "decisions")


def test_a_policy_that_fails_while_it_runs_gives_way_to_the_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe cannot know every context: a model that fails on one is gone back from, and nothing stops."""
    one = stage()
    assert status(one, command("policy", 1, POLICY)) == "APPLIED"
    assert (
        status(one, command("policy", 2, {"policy": "tip-linucb", "arms": ["0.3", "skip"], "exploration": 0.1}))
        == "APPLIED"
    )
    real = LinUcb.judge

    def judge(self: LinUcb, x: np.ndarray, eligible: np.ndarray) -> Any:
        if self.arm_names[0] == "0.3":
            raise ZeroDivisionError("division by zero")
        return real(self, x, eligible)

    monkeypatch.setattr(LinUcb, "judge", judge)
    (row,) = rows(one.process("in", batch(OPENED)), "decisions")
    assert (row["policy"], row["policy_version"]) == ("tip-exp3", 1)
    state = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1]
    assert state.counters.rollbacks == 1


def test_an_improper_distribution_is_gone_back_from_at_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows before it are decided by the policy in force, whatever the cut into batches."""
    real = LinUcb.judge

    def judge(self: LinUcb, x: np.ndarray, eligible: np.ndarray) -> Any:
        judged = real(self, x, eligible)
        if self.option["width"] == 3.0:
            judged.preference[:, x[1] > 3.0] = np.nan
        return judged

    monkeypatch.setattr(LinUcb, "judge", judge)
    found = []
    for size in (1, 7, 200):
        one = stage()
        payload = {
            "policy": "tip-linucb",
            "arms": ["0.2", "0.4", "skip"],
            "exploration": 0.1,
            "options": {"width": 3.0},
        }
        assert status(one, command("policy", 3, payload)) == "APPLIED"
        given = stream(200)
        found.append(
            [row for at in range(0, 200, size) for row in rows(one.process("in", given.slice(at, size)), "decisions")]
        )
    assert found[0] == found[1] == found[2]
    versions = [row["policy_version"] for row in found[0]]
    assert versions == sorted(versions, reverse=True)
    assert set(versions) == {0, 3}


def test_a_question_changes_no_answer() -> None:
    """Asking about a policy of seven arms leaves a model of six arms what it was: fitting."""
    state = model(learned(taught()))
    seven = {"policy": "tip-linucb", "arms": [f"0.{i}" for i in range(1, 7)] + ["skip"], "exploration": 0.1}
    one, twin = taught(), taught()
    for version in (1, 2, 3):
        for kind, payload in (("policy", seven), ("model", state), ("kill", None), ("model", {"policy": 3})):
            answer = one.rehearse(command(kind, version, payload))
            assert answer is not None
            assert answer.status == ("REJECTED" if payload == {"policy": 3} else "APPLIED")
    assert one.snapshot() == twin.snapshot()
    assert status(one, command("model", 1, state)) == "APPLIED"


def test_a_model_reaches_the_chain_that_taught_it_or_the_one_that_is_named() -> None:
    teacher, one = taught(seed=2), taught(seed=3)
    before = {chain: learned(one, chain) for chain in BOTH}
    assert status(one, command("model", 1, model(learned(teacher, BOTH[0])))) == "APPLIED"
    assert learned(one, BOTH[0]) == learned(teacher, BOTH[0])
    assert learned(one, BOTH[1]) == before[BOTH[1]]
    assert status(one, command("model", 2, {"policy": "tip-ucb1", "chain": "ethereum"})) == "APPLIED"
    given = batch(
        opportunity(slot=9_000, new_episode=True), opportunity(slot=9_000, chain=2, usd=99.0, new_episode=True)
    )
    restored = stage()
    restored.restore(one.snapshot())
    for each in (one, restored):
        made = {row["chain"]: row for row in rows(each.process("in", given), "decisions")}
        assert {chain: row["policy"] for chain, row in made.items()} == {1: "tip-linucb", 2: "tip-ucb1"}
        assert made[1]["model_id"]
        assert not made[2]["model_id"]


def test_an_arm_added_keeps_what_the_others_learned_and_may_begin_with_it() -> None:
    one = taught()
    arms = list(BanditSettings().arms)
    more = {"policy": "tip-linucb", "arms": ["0.05", *arms], "exploration": 0.05, "warm": {"0.05": "0.1"}}
    old = msgspec.msgpack.decode(learned(one), type=PolicyState)
    assert status(one, command("policy", 1, more)) == "APPLIED"
    new = msgspec.msgpack.decode(learned(one), type=PolicyState)
    pulls = [dict(zip(s.arms, np.frombuffer(s.arrays["pulls"].data), strict=True)) for s in (old, new)]
    assert pulls[1] == {"0.05": pulls[0]["0.1"], **pulls[0]}
    assert new.updates == old.updates > 0
    refused = one.rehearse(command("policy", 2, more | {"warm": {"0.7": "0.1"}}))
    assert refused is not None
    assert refused.reason == "out_of_bounds"


@pytest.mark.parametrize(
    "changed",
    [{"exploration": 0.2}, {"options": {"ridge": 9.0}}, {"arms": ("0.3", "0.5", "0.9")}, {"exploration_hold": 0}],
)
def test_a_file_that_has_changed_keeps_what_fits(changed: dict[str, Any]) -> None:
    before = taught()
    after = stage(**changed)
    after.restore(before.snapshot())
    saved = msgspec.msgpack.decode(learned(after), type=PolicyState)
    assert saved.updates > 0
    assert saved.arms == list(after.settings.arms)
    (row,) = rows(after.process("in", batch(opportunity(slot=9_000, new_episode=True))), "decisions")
    assert set(row["arms"]) <= set(after.settings.arms)


def test_a_commanded_policy_stands_above_a_file_that_has_changed() -> None:
    before = stage()
    assert status(before, command("policy", 4, POLICY)) == "APPLIED"
    after = stage(exploration=0.3)
    after.restore(before.snapshot())
    (row,) = rows(after.process("in", batch(OPENED)), "decisions")
    assert (row["policy"], row["policy_version"]) == ("tip-exp3", 4)


def test_decisions_name_their_episode_and_count_its_attempts() -> None:
    """A cycle on which skip is drawn again and again is one episode, whatever number of decisions it makes."""
    again = [opportunity(slot=100 + 20 * i, usd=10.0 + i) for i in range(1, 6)]
    for seed in range(40):
        one = stage(seed=seed, **ONE_ARM)
        out = run(one, OPENED, *again, closed(300), opportunity(slot=320, new_episode=True))
        made = rows(out, "decisions")
        first = [row for row in made if row["slot"] < 300]
        assert len({row["episode_id"] for row in first}) == 1
        assert [row["attempt"] for row in first] == list(range(len(first)))
        assert made[-1]["episode_id"] != first[0]["episode_id"]
        assert made[-1]["attempt"] == 0
        told = {row["decision_id"]: row for row in rows(out, "outcomes")}
        assert all(told[row["decision_id"]]["episode_id"] == row["episode_id"] for row in made)
        assert all(row["activated"] for row in told.values())


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"log_rate": 11.87}, "rate is above 25 %"),
        ({"usd": 200_000.0}, "profit is above 100,000 USD"),
        ({"opened_slot": 1, "slot": 10_000}, "paid for longer"),
        ({"log_rate": 0.2, "amount_out": number(900_000)}, "moves its pools"),
    ],
)
def test_what_is_too_good_to_be_true_is_counted_and_not_decided_on(row: dict[str, Any], says: str) -> None:
    slot = row.pop("slot", 100)
    items = [opportunity(slot=slot + i, **({"usd": 10.0 + i} | row), new_episode=not i) for i in range(3)]
    one = stage()
    out = run(one, *items, LATER | {"slot": 20_000, "opened_slot": 20_000})
    assert [row["slot"] for row in rows(out, "decisions")] == [20_000]
    (told,) = (row for row in rows(out, "events") if row["kind"] == "implausible")  # one an episode
    assert says in told["detail"]
    assert not rows(out, "errors")
    state = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1]
    assert state.counters.implausible == len({item["net_profit"] for item in items})


def test_the_utility_is_named_and_is_what_is_learned() -> None:
    for given, expected in (({"utility_cap_usd": 50.0}, 0.149988), ({"utility": "share"}, 0.74994), ({}, 0.74994)):
        for seed in range(64):
            out = run(stage(seed=seed, **ONE_ARM, **given), OPENED, LATER)
            (decision, _), (outcome, _) = rows(out, "decisions"), rows(out, "outcomes")
            if decision["arm"] != "skip":
                break
        assert decision["utility"] == given.get("utility", "usd")
        assert outcome["utility"] == pytest.approx(expected)
        assert [row["utility"] for row in rows(out, "events") if row["kind"] == "reward"] == [outcome["utility"]]


def test_a_fixed_tip_while_little_is_known_and_a_frozen_policy() -> None:
    one = stage(policy="tip-exp3", fallback={"arm": "0.5", "below": 3}, exploration=0.06, exploration_hold=0)
    items = [opportunity(slot=100 + 20 * i, cycle=(i + 1, i + 50), new_episode=True) for i in range(6)]
    made = rows(one.process("in", batch(*items)), "decisions")
    for i, row in enumerate(made):
        chance = row["arm_propensities"][row["arms"].index("0.5")]
        assert (chance == pytest.approx(0.95)) == (i < 3)  # the reward of row i is learned before row i + 1
        assert row["exploration"] == pytest.approx(0.06)
    frozen = stage(frozen=True)
    assert {row["model_version"] for row in rows(frozen.process("in", batch(*items)), "decisions")} == {0}
    assert {row["kind"] for row in rows(frozen.on_watermark("in", END), "outcomes")} == {"expired"}


def test_the_named_singular_model_is_refused() -> None:
    """Version 1, six arms, a gram of zeros: as a command once brought it."""
    shape = [6, 8, 8]
    arrays = {"gram": {"dtype": "<f8", "shape": shape, "data": bytes(8 * 6 * 8 * 8)}}
    arrays["moment"] = {"dtype": "<f8", "shape": shape[:2], "data": bytes(8 * 6 * 8)}
    state = {"version": 1, "name": "tip-linucb", "arms": 6, "features": 8, "updates": 5, "arrays": arrays}
    ack = stage().on_control(command("model", 1, model(msgspec.msgpack.encode(state))))
    assert ack is not None
    assert (ack.status, ack.reason) == ("REJECTED", "bad_model")
    assert "version 1" in ack.detail


def test_a_command_without_a_payload_is_malformed() -> None:
    ack = stage().on_control(Command("c", "policy", "", 1, json.dumps([]).encode()))
    assert ack is not None
    assert ack.reason == "malformed"


def test_models_of_two_chains_do_not_stand_in_each_others_way() -> None:
    """Versions count by chain: a shard that starts later reads one record of each chain, in either order."""
    states = {chain: learned(taught(), chain) for chain in BOTH}
    names = {market.CHAIN_SOLANA: "solana", market.CHAIN_ETHEREUM: "ethereum"}
    for order in (BOTH, BOTH[::-1]):
        one = stage()
        for chain in order:
            given = command("model", 1, model(states[chain]), target=f"decided@{names[chain]}")
            ack = one.on_control(given)
            assert ack is not None
            assert ack.status == "APPLIED", ack
            again = one.on_control(given)
            assert again is not None
            assert again.status == "DUPLICATE"
        assert {chain: learned(one, chain) for chain in BOTH} == states
    wrong = one.on_control(command("model", 2, model(states[BOTH[0]], chain="ethereum"), target="decided@solana"))
    assert wrong is not None
    assert (wrong.status, wrong.reason) == ("REJECTED", "out_of_bounds")
    stale = one.on_control(command("model", 0, model(states[BOTH[0]]), target="decided@solana"))
    assert stale is not None
    assert stale.status == "STALE"


def test_two_names_of_a_chain_are_one_target() -> None:
    """``evm-1`` is Ethereum: a version counts under either name."""
    one, state = stage(), learned(taught(), market.CHAIN_ETHEREUM)
    for target, version, wanted in (
        ("decided@evm-1", 2, "APPLIED"),
        ("decided@ethereum", 2, "DUPLICATE"),
        ("decided@ethereum", 1, "STALE"),
        ("decided@evm-1", 1, "STALE"),
    ):
        ack = one.on_control(command("model", version, model(state), target=target))
        assert ack is not None
        assert ack.status == wanted, (target, version, ack)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"log_rate": -1e7}, "larger than any can be"),
        ({"log_rate": -1e200}, "larger than any can be"),
        ({"gross_profit_usd": 1e300}, "larger than any can be"),
        ({"usd": 2e15}, "larger than any can be"),
        ({"legs": opportunity()["legs"] * 35}, "not 2 to 64 legs"),
    ],
)
def test_rows_whose_figures_no_policy_could_keep_are_dead_letters_and_teach_nothing(
    given: dict[str, Any], said: str
) -> None:
    """Their squares were beyond what a learned state may hold: after a restart it was refused, again and again."""
    one = stage(plausible={"max_rate_pct": None, "max_profit_usd": None, "max_impact_pct": None})
    strange = opportunity(slot=100, new_episode=True, **given)
    (letter,) = rows(one.process("in", batch(strange)), "errors")
    assert said in letter["detail"]
    list(one.process("in", stream(200)))
    stage().restore(one.snapshot())
