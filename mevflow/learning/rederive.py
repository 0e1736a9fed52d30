"""A decision computed once more from the record: what must come out equal to the bit, and what does not.

Features follow from the stored opportunity. Scores and chances follow from a learner of the topology file's settings
that is taught the first lessons of the chain, as many as the decision's ``model_version`` says, in the order in which
they were settled. The draw follows from chances and seed, the seed from the decision's id, the tip from the profit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mevflow.operators.chains import number_of
from mevflow.operators.codec import codec
from mevflow.operators.decide.features import contexts
from mevflow.operators.decide.settings import BanditSettings, share_of
from mevflow.operators.learn import draw
from mevflow.operators.outcomes import tip_raw
from mevflow.sinks.clickhouse.tables import VENUES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_OPPORTUNITY = """
SELECT chain, slot, opened_slot, net_profit_usd, log_rate, new_episode, legs.venue AS venues,
       toString(net_profit) AS net_profit
FROM mev_opportunities FINAL
WHERE opportunity_id = {opportunity:String} AND run_id = {run:String} AND topology = {topology:String}
ORDER BY logic_version DESC LIMIT 1
"""
_SCORES = """
SELECT model, score FROM model_scores FINAL
WHERE opportunity_id = {opportunity:String} AND run_id = {run:String} AND topology = {topology:String}
"""
#: The lessons of a chain in the order in which they were settled.
_LESSONS = """
SELECT d.features, d.arm, o.utility, d.propensity
FROM (SELECT * FROM mev_decisions FINAL WHERE run_id = {run:String} AND topology = {topology:String}
      AND chain = {chain:String}) AS d
INNER JOIN (SELECT * FROM outcomes FINAL WHERE run_id = {run:String} AND topology = {topology:String}
            AND revision = 0 AND kind NOT IN ('expired', 'inactive')) AS o ON o.decision_id = d.decision_id
LEFT JOIN (SELECT opportunity_id, ordinal FROM mev_opportunities FINAL WHERE run_id = {run:String}
           AND topology = {topology:String}) AS p ON p.opportunity_id = d.opportunity_id
WHERE d.expected_profit_usd > 0
ORDER BY o.slot, d.slot, d.tx_index, d.ix_index, p.ordinal
LIMIT {count:UInt64}
"""


@dataclass(frozen=True, slots=True)
class Rederived:
    """One thing that was logged beside what follows from the record. ``why`` says why it cannot be computed."""

    what: str
    logged: Any
    computed: Any = None
    why: str = ""

    @property
    def equal(self) -> bool:
        """To the bit."""
        return not self.why and self.logged == self.computed

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "what": self.what,
            "equal": self.equal,
            "logged": self.logged,
            "computed": self.computed,
            "why": self.why,
        }


def rederive(client: Client, decision: dict[str, Any], settings: BanditSettings) -> list[Rederived]:
    """Every part of a stored decision, computed anew. ``settings`` are those of the node that decided.

    ``decision`` is a row of :data:`mevflow.flows.explain.PARTS`; its features may have names.
    """
    features = list(decision["features"].values() if isinstance(decision["features"], dict) else decision["features"])
    where = {"run": decision["run_id"], "topology": decision["topology"], "chain": decision["chain"]}
    found = client.query(_OPPORTUNITY, where | {"opportunity": decision["opportunity_id"]})
    rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    seed = int.from_bytes(bytes.fromhex(decision["decision_id"])[:8], "little") ^ settings.seed
    arms, chances = list(decision["arms"]), np.array(decision["arm_propensities"])
    drawn = arms[int(draw(chances[:, None], np.array([decision["seed"]], np.uint64))[0])]
    out = []
    if rows:
        scored = client.query(_SCORES, where | {"opportunity": decision["opportunity_id"]}).result_rows
        said: dict[str, float] = {row[0]: row[1] for row in scored}
        scores = [value for model in settings.scores for value in (float(model in said), said.get(model, 0.0))]
        out.append(Rederived("features", features, _features(rows[0]) + scores))
        tip = tip_raw(int(rows[0]["net_profit"]), share_of(decision["arm"]))
        out.append(Rederived("tip", decision["tip"], str(tip)))
    else:
        out.append(Rederived("features", features, why="the opportunity is not stored"))
    out += _scored(client, decision, features, settings, where)
    out.append(Rederived("seed", decision["seed"], seed))
    return [*out, Rederived("draw", decision["arm"], drawn)]


def _features(row: dict[str, Any]) -> list[float]:
    known = codec("mevflow.v1.Opportunity").schema
    columns = {
        "legs": [[{"venue": VENUES.index(venue)} for venue in row["venues"]]],
        "slot": [row["slot"]],
        "opened_slot": [row["opened_slot"]],
        "net_profit_usd": [row["net_profit_usd"]],
        "log_rate": [row["log_rate"]],
        "chain": [number_of(row["chain"])],
        "new_episode": [row["new_episode"]],
    }
    schema = pa.schema([known.field(name) for name in columns])
    values: list[float] = contexts(pa.RecordBatch.from_pydict(columns, schema=schema))[:, 0].tolist()
    return values


def _scored(
    client: Client, decision: dict[str, Any], features: list[float], settings: BanditSettings, where: dict[str, Any]
) -> list[Rederived]:
    """Scores and chances of the eligible arms."""
    names = ("arm_scores", "arm_propensities")
    logged = {name: list(decision[name]) for name in names}

    def unknown(why: str) -> list[Rederived]:
        return [Rederived(name, logged[name], why=why) for name in names]

    spec = settings.spec
    if (decision["policy"], decision["policy_version"]) != (spec.policy, spec.version):
        return unknown(f"a command had set {decision['policy']} v{decision['policy_version']}, not the file")
    if decision["model_id"]:
        return unknown(f"a command had brought the model {decision['model_id'][:12]}")
    if len(features) != len(settings.features) or not set(decision["arms"]) <= set(spec.arms):
        return unknown("the file asks for other arms or features")
    count = decision["model_version"]
    lessons = client.query(_LESSONS, where | {"count": count}).result_rows
    if len(lessons) < count:
        return unknown(f"{count:,} lessons came before it, {len(lessons):,} are stored")
    policy = spec.make()
    if lessons:
        contexts_, arms, utilities, propensities = zip(*lessons, strict=True)
        if not set(arms) <= set(spec.arms) or {len(one) for one in contexts_} != {len(features)}:
            return unknown("lessons that came before it are of other arms or features than the file's")
        places = np.array([spec.arms.index(arm) for arm in arms])
        policy.update(np.array(contexts_), places, np.array(utilities), np.array(propensities))
    eligible = np.array([[arm in decision["arms"]] for arm in spec.arms])
    fixed = None
    if settings.fallback is not None and count < settings.fallback.below:
        fixed = spec.arms.index(settings.fallback.arm)
    proposal = policy.propose(np.array(features)[:, None], eligible, fixed)
    shown = eligible[:, 0]
    return [
        Rederived("arm_scores", logged["arm_scores"], proposal.scores[shown, 0].tolist()),
        Rederived("arm_propensities", logged["arm_propensities"], proposal.propensities[shown, 0].tolist()),
    ]
