"""The decision stage on small streams whose every outcome can be worked out by hand."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from mevflow.operators.decide.rows import OpportunityColumns
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import LOOK_ROWS, BanditDecide, StageState
from mevflow.operators.errors import StateError
from mevflow.operators.ids import stable_id
from mevflow.operators.learn.means import MeanPolicy
from mevflow.operators.stage import CAUGHT_UP_US, Command, StageContext, Watermark
from mevflow.operators.switch import Off
from tests.operators.decide.opportunities import SOL, USDC, batch, number, opportunity, stream, swap, swaps

END = Watermark(CAUGHT_UP_US, final=True)

#: One arm beside skip, so that a test can read the outcome of either off the decision.
ONE_ARM: dict[str, Any] = {"arms": ("0.25",), "exploration": 0.5, "policy": "tip-epsilon"}


def stage(run_id: str = "", **given: Any) -> BanditDecide:
    """A stage with Solana's default latency of 2 slots and window of 8."""
    return BanditDecide(BanditSettings(**given), StageContext("test", "decided", run_id))


def rows(given: Any, port: str) -> list[dict[str, Any]]:
    """All rows of a port as dicts."""
    return [row for name, out in given if name == port for row in out.to_pylist()]


def run(one: BanditDecide, *items: dict[str, Any]) -> list[tuple[str, pa.RecordBatch]]:
    """One batch of rows, then the end of the stream."""
    return [*one.process("in", batch(*items)), *one.on_watermark("in", END)]


def outcome(*items: dict[str, Any], seen: pa.RecordBatch | None = None, **given: Any) -> tuple[dict, dict]:
    """Decision and outcome of the first row, for a seed with which the bidding arm is drawn."""
    for seed in range(64):
        one = stage(seed=seed, **(ONE_ARM | given))
        if seen is not None:
            list(one.process("swaps", seen))
        out = run(one, *items)
        decision = rows(out, "decisions")[0]
        if decision["arm"] != "skip":
            return decision, rows(out, "outcomes")[0]
    raise AssertionError("no seed draws the arm")


OPENED = opportunity(slot=100, usd=10.0, new_episode=True)
LATER = opportunity(slot=200, cycle=(8, 9), new_episode=True)


def closed(slot: int, tx: int = 0) -> dict[str, Any]:
    """The row that says that the cycle of OPENED stopped paying."""
    return opportunity(slot=slot, tx_index=tx, usd=0.0, closed=True)


def test_a_decision_carries_what_off_policy_evaluation_needs() -> None:
    (row,) = rows(stage(seed=7).process("in", batch(OPENED)), "decisions")
    assert row["decision_id"] == stable_id("decision", "decided", OPENED["opportunity_id"])
    assert row["seed"] == int.from_bytes(row["decision_id"][:8], "little") ^ 7
    assert row["opportunity_id"] == OPENED["opportunity_id"]
    assert sum(row["arm_propensities"]) == pytest.approx(1.0, abs=1e-12)
    assert row["propensity"] == row["arm_propensities"][row["arms"].index(row["arm"])]
    assert row["score"] == row["arm_scores"][row["arms"].index(row["arm"])]
    share = 0.0 if row["arm"] == "skip" else float(row["arm"])
    assert row["tip_share"] == share
    assert int.from_bytes(row["tip"], "little") == int(10_000_000 * share)
    assert (row["policy"], row["policy_version"], row["model_version"]) == ("tip-linucb", 0, 0)
    assert (row["source_topic"], row["source_offset"]) == ("dex-swaps-proto", 100)


def test_lineage_names_the_record_and_the_pools() -> None:
    out = list(stage().process("in", batch(OPENED)))
    (decision,), (row,) = rows(out, "decisions"), rows(out, "lineage")
    assert row["pools"] == [leg["pool"] for leg in OPENED["legs"]]
    assert (row["topic"], row["partition"], row["offset"]) == ("dex-swaps-proto", 0, 100)
    assert row["scores"] == decision["arm_scores"]
    assert row["features"] == decision["features"]


def test_the_tip_is_exact_beyond_what_a_float_holds() -> None:
    net = (1 << 100) + 12345
    decision, _ = outcome(opportunity(slot=100, new_episode=True, net_profit=number(net)), arms=("0.1",))
    assert int.from_bytes(decision["tip"], "little") == net // 10


def test_a_cycle_open_past_our_slot_pays_profit_less_tip_and_fee() -> None:
    _, row = outcome(OPENED, closed(103), LATER)
    assert row["kind"] == "landed"
    fee_usd = 5_000 / 1e9 * 120.0
    assert row["reward_usd"] == 10.0 - 2.5 - fee_usd
    assert int.from_bytes(row["realized_profit"], "little", signed=True) == 7_500_000
    assert "closed_slot=103 closed_by=unseen" in row["evidence"]


def test_a_cycle_closed_before_our_slot_costs_the_failed_attempt() -> None:
    _, row = outcome(OPENED, closed(101), LATER)
    assert (row["kind"], row["reward_usd"]) == ("missed", -5_000 / 1e9 * 120.0)
    assert row["realized_profit"] == number(0)


def test_the_profit_at_landing_counts_not_the_one_at_decision() -> None:
    shrunk = opportunity(slot=102, usd=4.0)
    after = opportunity(slot=103, usd=9.0)
    _, row = outcome(OPENED, shrunk, after, LATER)
    assert row["reward_usd"] == pytest.approx(4.0 - 2.5 - 0.0006)
    assert int.from_bytes(row["realized_profit"], "little", signed=True) == 1_500_000


def test_a_profit_that_grew_pays_no_more_than_the_bid_was_sized_for() -> None:
    _, row = outcome(OPENED, opportunity(slot=101, usd=40.0), LATER)
    assert row["reward_usd"] == pytest.approx(10.0 - 2.5 - 0.0006)


def test_a_row_that_is_net_of_costs_already_is_not_charged_twice() -> None:
    net = opportunity(slot=100, usd=10.0, gross_profit_usd=11.0, new_episode=True)
    _, row = outcome(net, LATER)
    assert row["reward_usd"] == 7.5
    _, row = outcome(net, closed(101), LATER)
    assert row["reward_usd"] == -1.0


def test_swaps_tell_a_round_trip_and_its_bid() -> None:
    seen = swaps(
        swap(101, 0, 0, 5, USDC),
        swap(102, 3, 0, 1, USDC, signer=b"m" * 32, fee=10_000_000),
        swap(102, 3, 1, 2, SOL, signer=b"m" * 32, fee=10_000_000),
    )
    _, row = outcome(OPENED, closed(102, tx=3), LATER, seen=seen)
    # Its tip of 0.01 SOL is worth 1.2 USD, ours is 2.5 USD.
    assert row["kind"] == "landed"
    assert f"closed_by=round_trip signer={(b'm' * 32).hex()} rival_bid_usd=1.2" in row["evidence"]


def test_a_single_swap_that_closes_the_gap_is_not_called_a_round_trip() -> None:
    _, row = outcome(OPENED, closed(101, tx=3), LATER, seen=swaps(swap(101, 3, 0, 1, USDC)))
    assert "closed_by=swap" in row["evidence"]


def test_the_window_is_passed_by_swaps_alone() -> None:
    one = stage(**ONE_ARM)
    assert rows(one.process("in", batch(OPENED)), "outcomes") == []
    assert list(one.process("swaps", swaps(swap(108, 0, 0, 5, USDC)))) == []
    assert rows(one.on_watermark("in", Watermark(108 * 400_000)), "outcomes") == []
    assert list(one.process("swaps", swaps(swap(109, 0, 0, 5, USDC)))) == []
    assert len(rows(one.on_watermark("in", Watermark(109 * 400_000)), "outcomes")) == 1


def test_one_bid_at_a_time_and_none_after_one_has_landed() -> None:
    during = opportunity(slot=104, usd=11.0)
    after = opportunity(slot=120, usd=12.0)
    again = opportunity(slot=140, usd=5.0, new_episode=True)
    for seed in range(16):
        out = run(stage(seed=seed, **ONE_ARM), OPENED, during, after, LATER | {"slot": 130}, closed(135), again)
        decisions = rows(out, "decisions")
        slots = [row["slot"] for row in decisions]
        landed = decisions[0]["arm"] != "skip"
        assert slots == ([100, 130, 140] if landed else [100, 120, 130, 140])


def test_the_same_profit_again_is_no_news() -> None:
    out = run(stage(**ONE_ARM), OPENED, closed(101), opportunity(slot=102, new_episode=True), opportunity(slot=120))
    assert [row["slot"] for row in rows(out, "decisions")] == [100, 102]


def test_nothing_is_learned_before_the_stream_has_shown_it() -> None:
    """A bid of slot 100 is due after slot 108: a decision at 108 knows nothing of it, one at 109 does."""
    items = [OPENED, *(opportunity(slot=s, cycle=(s, s + 1), new_episode=True) for s in (108, 109))]
    versions = [row["model_version"] for row in rows(run(stage(**ONE_ARM), *items), "decisions")]
    assert versions == [0, 0, 1]


def test_what_the_stream_did_not_finish_expires_without_a_lesson() -> None:
    out = run(stage(**ONE_ARM), OPENED)
    (row,) = rows(out, "outcomes")
    assert (row["kind"], row["reward_usd"]) == ("expired", 0.0)
    assert row["realized_profit"] == b"", "nobody knows what it would have brought"
    assert "stream_ended" in row["evidence"]
    assert [row["kind"] for row in rows(out, "events")] == ["decision"]


def test_counterfactuals_are_the_rule_for_the_arms_not_taken() -> None:
    out = run(stage(exploration=1.0), OPENED, closed(102), LATER)
    decision = rows(out, "decisions")[0]
    others = {row["arm"]: row for row in rows(out, "counterfactuals") if row["decision_id"] == decision["decision_id"]}
    assert set(others) == set(decision["arms"]) - {decision["arm"]}
    expected = {"0.1": -0.0006, "0.25": -0.0006, "0.5": 4.9994, "0.75": 2.4994, "0.9": 0.9994, "skip": 0.0}
    for arm, row in others.items():
        assert row["estimate_usd"] == pytest.approx(expected[arm])
        assert row["propensity"] == decision["arm_propensities"][decision["arms"].index(arm)]
        assert row["estimator"] == "landing-rule-1"


def test_arms_that_could_not_pay_their_costs_are_not_eligible() -> None:
    dear = opportunity(slot=100, chain=2, usd=10.0, new_episode=True)
    (row,) = rows(stage().process("in", batch(dear)), "decisions")
    assert row["arms"] == ["skip"]  # an attempt costs 9 USD
    assert row["propensity"] == 1.0


def test_a_replay_decides_the_same_under_its_own_run_id() -> None:
    found = stream(300, chains=(1, 2))
    live, replay = run_table(stage(), found), run_table(stage(run_id="r1"), found)
    assert {row["run_id"] for row in replay} == {"r1"}
    assert [row | {"run_id": ""} for row in replay] == live


def run_table(one: BanditDecide, found: pa.RecordBatch) -> list[dict[str, Any]]:
    return rows(one.process("in", found), "decisions")


def test_memory_is_bounded_by_settings() -> None:
    one = stage(max_open=10, max_cycles=20, solana={**rules(), "window_slots": 1000})
    items = [opportunity(slot=100 + i, cycle=(i % 100, i % 99 + 100), new_episode=True) for i in range(200)]
    out = list(one.process("in", batch(*items)))
    state = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1]
    assert (len(state.bids), len(state.due), len(state.episodes)) == (10, 10, 20)
    assert (state.counters.evicted_bids, state.counters.evicted_cycles) == (190, 180)
    assert {row["kind"] for row in rows(out, "outcomes")} == {"expired"}


def rules() -> dict[str, Any]:
    return BanditSettings().solana.model_dump()


def command(kind: str, version: int, payload: Any = None, target: str = "") -> Command:
    return Command(f"c{version}", kind, target, version, b"" if payload is None else json.dumps(payload).encode())


POLICY = {"policy": "tip-exp3", "arms": ["0.2", "0.4", "skip"], "exploration": 0.1}


def test_a_policy_command_is_applied_once_and_never_goes_back() -> None:
    one = stage()
    assert status(one, command("policy", 5, POLICY)) == "APPLIED"
    assert status(one, command("policy", 5, POLICY)) == "DUPLICATE"
    assert status(one, command("policy", 5, POLICY | {"exploration": 0.2})) == "REJECTED"
    assert status(one, command("policy", 4, POLICY)) == "STALE"
    (row,) = rows(one.process("in", batch(OPENED)), "decisions")
    assert (row["policy"], row["policy_version"], row["arms"]) == ("tip-exp3", 5, ["0.2", "0.4", "skip"])


def status(one: BanditDecide, given: Command) -> str:
    ack = one.on_control(given)
    assert ack is not None
    return ack.status


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"policy": "tip-unknown"}, "unknown policy"),
        ({"arms": ["1.5", "skip"]}, "not in (0, 1]"),
        ({"arms": ["0.5"]}, "at least 2 items"),
        ({"arms": ["0.5", "0.5", "skip"]}, "twice"),
        ({"arms": ["skip", "0.5"]}, "last arm"),
        ({"arms": ["half", "skip"]}, "neither a tip share"),
        ({"exploration": 0}, "greater than 0"),
        ({"options": {"rate": 2}}, "not in"),
        ({"typo": 1}, "typo: Extra inputs"),
        ({"policy": 7}, "policy: Input should be a valid string"),
    ],
)
def test_a_policy_out_of_bounds_is_rejected_and_the_last_good_one_stays(change: dict[str, Any], says: str) -> None:
    one = stage()
    ack = one.on_control(command("policy", 9, POLICY | change))
    assert ack is not None
    assert ack.status == "REJECTED"
    assert says in ack.detail
    assert rows(one.process("in", batch(OPENED)), "decisions")[0]["policy"] == "tip-linucb"


def test_what_was_learned_survives_a_change_of_exploration() -> None:
    one = stage()
    list(one.process("in", stream(200)))
    same = {"policy": "tip-linucb", "arms": list(BanditSettings().arms), "exploration": 0.3}
    before = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy
    assert status(one, command("policy", 2, same)) == "APPLIED"
    assert msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy == before


def test_bids_under_an_earlier_policy_teach_the_arms_that_the_new_one_shares() -> None:
    one = stage(**ONE_ARM)
    list(one.process("in", batch(OPENED)))
    status(one, command("policy", 2, {"policy": "tip-ucb1", "arms": ["0.9", "skip"], "exploration": 0.1}))
    out = run(one, LATER)
    (first, second) = rows(out, "outcomes")
    assert first["arm"] in ("0.25", "skip")
    counters = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].counters
    assert counters.unlearned == (1 if first["arm"] == "0.25" else 0)
    assert second["kind"] == "expired"


def test_the_kill_switch_latches_and_bids_in_flight_still_settle() -> None:
    one = stage(**ONE_ARM)
    list(one.process("in", batch(OPENED)))
    assert status(one, command("kill", 10)) == "APPLIED"
    assert status(one, command("kill", 11)) == "DUPLICATE"
    out = list(one.process("in", batch(LATER)))
    assert rows(out, "decisions") == []
    assert len(rows(out, "outcomes")) == 1
    restored = stage(**ONE_ARM)
    restored.restore(one.snapshot())
    assert rows(restored.process("in", batch(LATER | {"slot": 201, "usd": 3.0})), "decisions") == []
    assert status(restored, command("release", 11)) == "APPLIED"
    assert len(rows(restored.process("in", batch(opportunity(slot=202, cycle=(4, 5)))), "decisions")) == 1


def test_a_pool_or_mint_that_is_off_is_not_decided_about() -> None:
    one = stage()
    (pool, mint), *_ = OpportunityColumns(batch(OPENED)).legs(0)
    for scope in (f"pool:0x{pool.hex()}", f"mint:0x{mint.hex()}"):
        other = stage()
        assert status(other, command("kill", 1, target=scope)) == "APPLIED"
        assert rows(other.process("in", batch(OPENED)), "decisions") == []
        assert status(other, command("release", 2, target=scope)) == "APPLIED"
    assert status(one, command("kill", 1, target=f"pool:0x{'77' * 32}")) == "APPLIED"
    assert len(rows(one.process("in", batch(OPENED)), "decisions")) == 1
    assert status(one, command("kill", 2, target="another-node")) == "REJECTED"
    assert status(one, command("kill", 3, ["", "mint:0xab"])) == "REJECTED"


def test_the_switch_stops_a_batch_that_is_being_decided() -> None:
    one = stage()
    many = stream(2 * LOOK_ROWS)
    given = iter(one.process("in", many))
    found = [next(given)]
    one.context.switch.off = Off(everything=True)
    found += given
    whole = rows(stage().process("in", many), "decisions")
    assert 0 < len(rows(found, "decisions")) <= LOOK_ROWS
    assert len(rows(found, "decisions")) < len(whole)


def test_a_model_is_swapped_with_what_it_has_learned() -> None:
    teacher, one = stage(), stage()
    list(teacher.process("in", stream(200)))
    learned = msgspec.msgpack.decode(teacher.snapshot(), type=StageState).markets[1].policy
    payload = {"policy": "tip-linucb", "state": base64.b64encode(learned).decode()}
    assert status(one, command("model", 1, payload)) == "APPLIED"
    assert msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy == learned
    assert status(one, command("model", 1, payload)) == "DUPLICATE"
    assert status(one, command("model", 2, {"policy": "tip-ucb1"})) == "APPLIED"
    assert rows(one.process("in", batch(OPENED)), "decisions")[0]["policy"] == "tip-ucb1"
    # A policy that is read again after a restart is still known, though the model has changed since.
    assert status(one, command("policy", 1, POLICY)) == "APPLIED"
    assert status(one, command("model", 3, {"policy": "tip-ucb1"})) == "APPLIED"
    restored = stage()
    restored.restore(one.snapshot())
    assert status(restored, command("policy", 1, POLICY)) == "DUPLICATE"
    assert status(restored, command("model", 3, {"policy": "tip-ucb1"})) == "DUPLICATE"
    one = stage()
    for bad in ("AAAA", "?", base64.b64encode(learned[:-8]).decode()):
        ack = one.on_control(command("model", 3, {"policy": "tip-linucb", "state": bad}))
        assert ack is not None
        assert (ack.status, ack.reason) == ("REJECTED", "bad_model")


def test_commands_for_others_are_not_answered() -> None:
    one = stage()
    assert one.on_control(command("pause", 1)) is None
    assert one.on_control(command("policy", 1, POLICY, target="another-node")) is None
    assert one.on_control(command("policy", 1, POLICY, target="decided")) is not None


def test_a_snapshot_under_other_settings_is_refused_by_name() -> None:
    with pytest.raises(StateError, match="tip-linucb v0") as refused:
        stage(policy="tip-exp3").restore(stage().snapshot())
    assert refused.value.key == "decided"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "tip-linusb"}, "unknown policy"),
        ({"arms": ("0", "skip")}, "not in"),
        ({"exploration": 0.0}, "exploration"),
        ({"solana": {**rules(), "window_slots": 1}}, "window_slots must be at least"),
        ({"options": {"nope": 1.0}}, "no option"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BanditSettings(**given)


def test_arms_may_be_numbers_and_skip_is_always_there() -> None:
    given: Any = [0.1, "0.5"]
    assert BanditSettings(arms=given).arms == ("0.1", "0.5", "skip")


def test_drift_is_reported_and_relearning_starts_from_nothing() -> None:
    """Bids that land for a while and then never again."""
    items = []
    for i in range(200):
        slot = 100 + 20 * i
        items.append(opportunity(slot=slot, cycle=(1, 2), new_episode=True, usd=10.0 + i / 100))
        items.append(opportunity(slot=slot + (10 if i < 100 else 1), cycle=(1, 2), closed=True, usd=0.0))
    for reaction in ("report", "relearn"):
        one = stage(**ONE_ARM, drift_threshold=5.0, on_drift=reaction)
        told = rows(one.process("in", batch(*items)), "events")
        drifts = [i for i, row in enumerate(told) if row["kind"] == "drift"]
        assert drifts
        assert all(told[i - 1]["kind"] == "reward" for i in drifts)
        assert all(told[i - 1]["decision_id"] == told[i]["decision_id"] for i in drifts)
        assert told[drifts[0]]["slot"] > 2100
        state = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy
        policy = BanditSettings(**ONE_ARM).spec.make()
        policy.restore(state)
        assert policy.updates == 199
        assert isinstance(policy, MeanPolicy)
        assert (float(policy.pulls.sum()) == 199) == (reaction == "report")


def test_what_is_counted_beside_the_outputs_is_told():
    """Regret is what the best other arm would have brought more, and a skip that had no other arm was forced."""
    one = stage(arms=("0.1", "0.25", "0.5"), policy="tip-random")
    out = run(one, *stream(400).to_pylist())
    best: dict[bytes, float] = {}
    for row in rows(out, "counterfactuals"):
        best[row["decision_id"]] = max(best.get(row["decision_id"], -math.inf), row["estimate_usd"])
    told = rows(out, "outcomes")
    regret = sum(max(best.get(row["decision_id"], -math.inf) - row["reward_usd"], 0.0) for row in told)
    counts = one.counts()
    assert regret > 0.0
    assert counts["regret_usd"] == pytest.approx(regret)
    made = {row["decision_id"]: row for row in rows(out, "decisions")}
    assert counts["forced_skips"] == sum(row["arm"] == "skip" and row["propensity"] == 1.0 for row in made.values())
    joined = [row for row in told if row["kind"] != "expired"]
    assert counts["reward_delay_slots"] == sum(row["slot"] - made[row["decision_id"]]["slot"] for row in joined)
    assert counts["drift_alarms"] == counts["rollbacks"] == 0
