"""The whole story of one decision, read back from ClickHouse: what set it off, what it knew, what came of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mevflow.operators.decide.features import named_features
from mevflow.operators.errors import MevflowError, UsageError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_ID = re.compile(r"[0-9a-f]{6,32}\Z")

_FIND = """
SELECT DISTINCT decision_id, topology, run_id FROM mev_decisions
WHERE startsWith(decision_id, {id:String}) ORDER BY decision_id, run_id, topology LIMIT 100
"""

#: Part of the story -> its rows. The newest logic's row of each key is the one that counts (FINAL).
PARTS = {
    "decision": """
        SELECT decision_id, opportunity_id, topology, run_id, chain, slot, tx_index, ix_index, timestamp, mint, arm,
               propensity, score, tip_share, toString(tip) AS tip, expected_profit_usd, policy, policy_version,
               model_version, model_id, seed, features, arms, arm_propensities, arm_scores, logic_version
        FROM mev_decisions FINAL {where} ORDER BY logic_version DESC LIMIT 1""",
    "lineage": """
        SELECT topic, `partition`, offset, pools, slot, tx_index, ix_index, model_version, logic_version
        FROM mev_decision_lineage FINAL {where} ORDER BY logic_version DESC LIMIT 1""",
    "opportunity": """
        SELECT path, mint, toString(amount_in) AS amount_in, toString(amount_out) AS amount_out,
               toString(gross_profit) AS gross_profit, toString(net_profit) AS net_profit, toString(cost) AS cost,
               gross_profit_usd, net_profit_usd, log_rate, late, new_episode, opened_slot, opened_at, logic_version,
               legs.pool AS pools, legs.venue AS venues, legs.mint_in AS mints_in, legs.mint_out AS mints_out,
               arrayMap(x -> toString(x), legs.amount_in) AS amounts_in,
               arrayMap(x -> toString(x), legs.amount_out) AS amounts_out
        FROM mev_opportunities FINAL
        WHERE opportunity_id = {{opportunity:String}} AND run_id = {{run:String}}
        ORDER BY topology = {{topology:String}} DESC, logic_version DESC LIMIT 1""",
    "outcomes": """
        SELECT kind, reward_usd, toString(realized_profit) AS realized_profit, slot, evidence
        FROM outcomes FINAL {where} ORDER BY slot""",
    "counterfactuals": """
        SELECT arm, estimate_usd, estimator, propensity
        FROM mev_counterfactuals FINAL {where} ORDER BY estimator, arm""",
    "scores": """
        SELECT model, target, candidate, score, model_version, model_id
        FROM model_scores FINAL
        WHERE opportunity_id = {{opportunity:String}} AND run_id = {{run:String}} AND topology = {{topology:String}}
        ORDER BY model""",
}
#: Parts of which there may be several rows.
LISTS = ("outcomes", "counterfactuals", "scores")
OF_DECISION = "WHERE decision_id = {id:String} AND run_id = {run:String} AND topology = {topology:String}"


def explain(client: Client, given: str, run_id: str = "") -> dict[str, Any]:
    """What is stored of a decision: its :data:`PARTS`.

    ``given`` is the id or a prefix of at least six digits. A part that is not stored is None, or an empty list.
    Raises UsageError for what is no id or a prefix of several, MevflowError when nothing has it.
    """
    wanted = given.strip().lower().removeprefix("0x")
    if not _ID.match(wanted):
        raise UsageError(
            f"{given!r} is no decision id",
            hint="32 hexadecimal digits, or the first six or more of them: see mev_decisions.decision_id",
        )
    found = [tuple(map(str, row)) for row in client.query(_FIND, {"id": wanted}).result_rows]
    if not found:
        raise MevflowError(
            f"no decision {wanted}", hint="mevflow clickhouse query 'SELECT * FROM mev_decisions LIMIT 5'"
        )
    if len({identifier for identifier, _, _ in found}) > 1:
        some = ", ".join(sorted({identifier for identifier, _, _ in found})[:3])
        raise UsageError(f"several decisions begin with {wanted}: {some}, …", hint="give more digits")
    of_run = [row for row in found if row[2] == run_id]
    if not of_run:
        runs = ", ".join(repr(run) if run else "the live run" for _, _, run in found)
        raise MevflowError(
            f"decision {found[0][0]} is not in {f'run {run_id!r}' if run_id else 'the live run'}",
            hint=f"it is in {runs}: use --run-id",
        )
    identifier, topology, _ = of_run[0]
    story: dict[str, Any] = {}
    parameters = {"id": identifier, "run": run_id, "topology": topology, "opportunity": ""}
    for part, sql in PARTS.items():
        result = client.query(sql.format(where=OF_DECISION), parameters)
        rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
        story[part] = rows if part in LISTS else rows[0] if rows else None
        if part == "decision":
            parameters["opportunity"] = rows[0]["opportunity_id"]
    name_features(story)
    return story


def name_features(story: dict[str, Any]) -> None:
    """Give the decision's features their names, those of models by what is stored of their scores."""
    said = {row["model"]: row["score"] for row in story["scores"]}
    story["decision"]["features"] = named_features(story["decision"]["features"], said)
