"""Every chain that has a name or rules is decided on; where nobody says what an attempt costs, nothing is bid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.operators.chains import number_of
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.detect.costs import CostModel
from mevflow.operators.stage import StageContext
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import batch, opportunity, stream
from tests.operators.decide.test_stage import ONE_ARM, command, rows, run, stage, status

BASE, UNNAMED = 8453, 777_777_777
#: 200,000 gas at 1.1 gwei and 3,000 USD: 0.66 USD an attempt.
FEES = {"base_fee_wei": 1_000_000_000, "priority_fee_wei": 100_000_000, "native_usd": 3_000.0}


@pytest.mark.parametrize("name", ["base", "arbitrum", "bsc", "polygon", f"evm-{UNNAMED}"])
def test_a_chain_with_rules_gets_bids_and_learns_by_its_own_fee(name: str) -> None:
    number = number_of(name)
    later = opportunity(chain=number, slot=200, cycle=(5, 6), new_episode=True)
    for seed in range(64):
        one = stage(seed=seed, evm={name: FEES}, **ONE_ARM)
        out = run(one, opportunity(chain=number, new_episode=True), later)
        first = rows(out, "decisions")[0]
        if first["arm"] != "skip":
            break
    assert not rows(out, "errors")
    (settled,) = (row for row in rows(out, "outcomes") if row["decision_id"] == first["decision_id"])
    assert (settled["kind"], settled["chain"]) == ("landed", number)
    assert settled["reward_usd"] == pytest.approx(10.0 * (1 - first["tip_share"]) - 0.66)


@pytest.mark.parametrize("known", [{}, {"base_fee_wei": 10**9}, {"native_usd": 3_000.0}, {"priority_fee_wei": 1}])
def test_nothing_is_bid_at_an_unknown_cost(known: dict[str, Any]) -> None:
    out = run(stage(evm={"base": known}), *(opportunity(chain=BASE, slot=100 + 9 * i, usd=10.0 + i) for i in range(5)))
    assert {(row["arm"], tuple(row["arms"])) for row in rows(out, "decisions")} == {("skip", ("skip",))}
    told = [row for row in rows(out, "outcomes") if row["kind"] == "skipped"]
    assert told
    assert all("cost=unknown" in row["evidence"] for row in told)
    assert not rows(out, "errors")


def test_a_cost_that_the_rows_carry_is_known() -> None:
    """The detector took base fee and priority fee off, in the chain's own native token."""
    row = opportunity(chain=BASE, usd=10.0, new_episode=True) | {"gross_profit_usd": 10.5}
    (made,) = rows(stage().process("in", batch(row)), "decisions")
    assert len(made["arms"]) > 1


def test_a_chain_that_a_topology_file_names_is_decided_on(tmp_path: Path) -> None:
    """Without the name its rows are dead letters that say what to do."""
    number = 1_234_567
    refused = rows(stage().process("in", batch(opportunity(chain=number))), "errors")
    assert [row["reason"] for row in refused] == ["bad_opportunity"]
    assert "chains:" in refused[0]["detail"]
    file = tmp_path / "topologies.yaml"
    file.write_text(
        "version: 1\n"
        "chains: {decided-on: 1234567}\n"
        "topologies:\n"
        "  t:\n"
        "    nodes:\n"
        "      found:   {use: kafka.source, with: {topic: mev-opportunities}}\n"
        "      decoded: {use: decode, from: found, with: {message: mevflow.v1.Opportunity}}\n"
        "      decided:\n"
        "        use: bandit.decide\n"
        "        from: decoded\n"
        "        with: {evm: {decided-on: {base_fee_wei: 1000000, native_usd: 2500}}}\n"
        "      kept:    {use: clickhouse.sink, from: decided.decisions}\n"
        "      rejects: {use: dlq.sink, from: [decoded.errors, decided.errors]}\n"
    )
    (settings,) = (node.settings for node in resolve(load(file), "t").of_use("bandit.decide"))
    assert isinstance(settings, BanditSettings)
    one = BanditDecide(settings, StageContext("t", "decided", ""))
    (made,) = rows(one.process("in", batch(opportunity(chain=number, new_episode=True))), "decisions")
    assert made["chain"] == number
    assert len(made["arms"]) > 1


def test_what_makes_no_rules_is_refused() -> None:
    names: list[dict[str, Any]] = [{name: {}} for name in ("ethereum", "solana", "nowhere", "evm-1", "evm-0")]
    for wrong in (*names, {"base": {"base_fee_wei": -1}}, {"base": {}, "evm-8453": {}}):
        with pytest.raises(ValidationError):
            BanditSettings(evm=wrong)
        with pytest.raises(ValidationError):
            CostModel(evm=wrong)
    with pytest.raises(ValidationError, match="native_usd"):
        BanditSettings(solana={"latency_slots": 2, "window_slots": 8, "attempt_fee_raw": 1, "native_decimals": 9})


def test_a_model_goes_to_any_chain_by_its_name() -> None:
    one = stage(evm={"base": FEES})
    assert status(one, command("model", 1, {"policy": "tip-ucb1", "chain": "base"})) == "APPLIED"
    assert status(one, command("model", 2, {"policy": "tip-ucb1", "chain": "nowhere"})) == "REJECTED"
    assert status(one, command("model", 2, {"policy": "tip-ucb1", "chain": f"evm-{UNNAMED}"})) == "REJECTED"
    given = batch(*(opportunity(slot=9_000, chain=chain, new_episode=True) for chain in (1, BASE)))
    made = {row["chain"]: row["policy"] for row in rows(one.process("in", given), "decisions")}
    assert made == {1: "tip-linucb", BASE: "tip-ucb1"}


def test_a_snapshot_from_before_a_chain_had_a_name_is_taken() -> None:
    """Two chains were all that there were; what they learned stays."""
    before = stage()
    list(before.process("in", stream(200, chains=(market.CHAIN_SOLANA, market.CHAIN_ETHEREUM))))
    saved = msgspec.msgpack.decode(before.snapshot(), type=StageState)
    saved.markets = {chain: saved.markets[chain] for chain in (1, 2)}
    after = stage(evm={"base": FEES})
    after.restore(msgspec.msgpack.encode(saved))
    now = msgspec.msgpack.decode(after.snapshot(), type=StageState)
    assert now.markets[1].policy == saved.markets[1].policy
    (made,) = rows(after.process("in", batch(opportunity(chain=BASE, new_episode=True))), "decisions")
    assert made["chain"] == BASE
