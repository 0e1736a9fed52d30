"""What was decided and what came of it, as the columns of the stage's output ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.decide.bids import Segment, Settled
from mevflow.operators.decide.rows import OpportunityColumns, number
from mevflow.operators.decide.settings import BanditSettings, share_as_float
from mevflow.operators.decide.told import INACTIVE
from mevflow.operators.outcomes import EXPIRED, rewards_usd, tip_raw
from mevflow.operators.stage import StageContext

#: Version of the logic that decides; stored tables keep the row of the highest one.
LOGIC_VERSION = 3

#: The estimator's name in counterfactual rows: see operators/outcomes.py for the rule.
ESTIMATOR = "landing-rule-1"

DECISION = codec("mevflow.v1.Decision").located
OUTCOME = codec("mevflow.v1.Outcome").located
COUNTERFACTUAL = codec("mevflow.v1.Counterfactual").located
EVENT = codec("mevflow.v1.BanditEvent").located

Columns = dict[str, Any]


def decisions(
    opportunities: pa.RecordBatch,
    rows: OpportunityColumns,
    at: np.ndarray,
    segments: Sequence[Segment],
    settings: BanditSettings,
    chosen_by: StageContext,
) -> pa.RecordBatch:
    """Located Decision rows for ``opportunities``, which are rows ``at`` of the batch, in order."""
    every = np.concatenate([segment.rows for segment in segments])
    order = np.argsort(every, kind="stable")
    assert np.array_equal(every[order], at)
    # Chains may have different policies, and a policy may be gone back from within a batch.
    of_spec: dict[int, list[Segment]] = {}
    for segment in segments:
        of_spec.setdefault(id(segment.spec), []).append(segment)
    if len(of_spec) == 1:
        return _decisions(opportunities, rows, order, segments, settings, chosen_by)
    parts, places = [], []
    for own in of_spec.values():
        mine = np.concatenate([segment.rows for segment in own])
        inner = np.argsort(mine, kind="stable")
        place = np.searchsorted(at, mine[inner])
        chosen = opportunities.take(pa.array(place))
        parts.append(_decisions(chosen, rows, inner, own, settings, chosen_by))
        places.append(place)
    return pa.concat_batches(parts).take(pa.array(np.argsort(np.concatenate(places), kind="stable")))


def _decisions(
    opportunities: pa.RecordBatch,
    rows: OpportunityColumns,
    order: np.ndarray,
    segments: Sequence[Segment],
    settings: BanditSettings,
    chosen_by: StageContext,
) -> pa.RecordBatch:
    """Decisions of segments of one spec; ``order`` brings the segments' rows into the order of ``opportunities``."""
    spec = segments[0].spec
    at = np.concatenate([segment.rows for segment in segments])[order]
    chances = np.concatenate([segment.propensities for segment in segments], axis=1)[:, order]
    scores = np.concatenate([segment.scores for segment in segments], axis=1)[:, order]
    expected = np.concatenate([segment.expected for segment in segments], axis=1)[:, order]
    eligible = np.concatenate([segment.eligible for segment in segments], axis=1)[:, order].T
    chosen = np.concatenate([segment.chosen for segment in segments])[order]
    seeds = np.concatenate([segment.seeds for segment in segments])
    sizes = [len(segment.rows) for segment in segments]
    versions = np.repeat(np.array([segment.model_version for segment in segments], np.uint64), sizes)
    floors = np.repeat(np.array([segment.exploration for segment in segments]), sizes)
    models = np.repeat(np.arange(len(segments)), sizes)[order]
    count = len(at)
    column = np.arange(count)
    row = pa.array(order)
    starts = np.concatenate(([0], eligible.sum(axis=1).cumsum())).astype(np.int32)
    names = pa.array(spec.arms)
    arm = np.broadcast_to(np.arange(len(spec.arms)), eligible.shape)[eligible]
    shares = spec.shares
    picks: list[int] = chosen.tolist()
    tips = [tip_raw(number(rows.net_profit[i]), shares[k]) for i, k in zip(at.tolist(), picks, strict=True)]
    x = rows.x[:, at]
    columns: Columns = {
        "decision_id": _joined([segment.ids for segment in segments]).take(row),
        "episode_id": _joined([segment.episodes for segment in segments]).take(row),
        "attempt": np.array([attempt for segment in segments for attempt in segment.attempts], np.uint32)[order],
        "activation": pa.repeat(settings.attribution.activation, count),
        "utility": pa.repeat(settings.utility, count),
        "exploration": floors[order],
        "model_id": pa.array([segment.model_id for segment in segments], pa.binary()).take(pa.array(models)),
        "topology": pa.repeat(chosen_by.topology, count),
        "run_id": pa.repeat(chosen_by.run_id, count),
        "features": _lists(np.arange(count + 1, dtype=np.int32) * len(x), pa.array(x.T.ravel()), "features"),
        "arms": _lists(starts, names.take(pa.array(arm)), "arms"),
        "arm": names.take(pa.array(chosen)),
        "propensity": chances[chosen, column],
        "policy": pa.repeat(spec.policy, count),
        "policy_version": np.full(count, spec.version, np.uint64),
        "model_version": versions[order],
        "seed": seeds[order],
        "tip_share": np.array([float(share) for share in shares])[chosen],
        "tip": [tip.to_bytes(16, "little") for tip in tips],
        "score": scores[chosen, column],
        "arm_propensities": _lists(starts, pa.array(chances.T[eligible]), "arm_propensities"),
        "arm_scores": _lists(starts, pa.array(scores.T[eligible]), "arm_scores"),
        "arm_expected": _lists(starts, pa.array(expected.T[eligible]), "arm_expected"),
        "logic_version": np.full(count, LOGIC_VERSION, np.uint64),
        "expected_profit_usd": opportunities.column("net_profit_usd"),
        "pools": _pools(opportunities.column("legs")),
    }
    for name in DECISION.names:
        if name not in columns:
            columns[name] = opportunities.column(name)
    return _batch(columns, DECISION)


def _joined(parts: Sequence[list[bytes]]) -> pa.BinaryArray:
    return pa.array([value for part in parts for value in part], pa.binary())


def outcomes(settled: Sequence[Settled], settled_by: StageContext, chains: Sequence[int]) -> pa.RecordBatch:
    """Located Outcome rows, with the coordinates of what each decision answered to."""
    bids = [item.bid for item in settled]
    return _batch(
        {
            "decision_id": [bid.decision_id for bid in bids],
            "opportunity_id": [bid.opportunity_id for bid in bids],
            "chain": list(chains),
            "slot": [item.slot for item in settled],
            "timestamp_us": [bid.timestamp_us for bid in bids],
            "kind": [item.verdict.kind for item in settled],
            "reward_usd": [item.verdict.reward_usd for item in settled],
            "realized_profit": [_signed(item.realized) for item in settled],
            "evidence": [item.verdict.evidence for item in settled],
            "topology": pa.repeat(settled_by.topology, len(bids)),
            "run_id": pa.repeat(settled_by.run_id, len(bids)),
            "arm": [bid.arms[bid.arm] for bid in bids],
            "propensity": [bid.propensity for bid in bids],
            "episode_id": [bid.episode_id for bid in bids],
            "attempt": [bid.attempt for bid in bids],
            "activated": [bid.active for bid in bids],
            "utility": [item.utility for item in settled],
            "measured": [item.measured for item in settled],
            "revision": [item.revision for item in settled],
            **_coordinates([bid.source for bid in bids]),
        },
        OUTCOME,
    )


def _signed(amount: int | None) -> bytes:
    """An i128 in 16 bytes; empty: not known."""
    return b"" if amount is None else amount.to_bytes(16, "little", signed=True)


def counterfactuals(settled: Sequence[Settled], told: pa.RecordBatch) -> tuple[list[pa.RecordBatch], float]:
    """Located Counterfactual rows: what the same rule gives for each eligible arm not taken; and the regret in USD.

    ``told`` are the rows of :func:`outcomes`. Regret is what the best of those arms would have brought more.
    """
    at = [i for i, item in enumerate(settled) if item.fate is not None]
    # Bids made before a policy command may have had other arms.
    runs = [list(run) for _, run in groupby(at, key=lambda i: settled[i].bid.arms)]
    made = [_counterfactuals(settled, run, told) for run in runs]
    return [batch for batch, _ in made if batch.num_rows], sum(regret for _, regret in made)


def _counterfactuals(
    settled: Sequence[Settled], at: Sequence[int], told: pa.RecordBatch
) -> tuple[pa.RecordBatch, float]:
    bids = [settled[i].bid for i in at]
    fates = [fate for i in at if (fate := settled[i].fate) is not None]
    arms = bids[0].arms
    estimates = rewards_usd(
        np.array([fate.state for fate in fates]),
        np.array([fate.expected_usd for fate in fates]),
        np.array([fate.landing_usd for fate in fates]),
        np.array([fate.rival_usd for fate in fates]),
        fates[0].rival_share,
        np.array([fate.landed_cost_usd for fate in fates]),
        np.array([fate.missed_cost_usd for fate in fates]),
        np.array([share_as_float(arm) for arm in arms]),
    )
    chances = np.frombuffer(b"".join([bid.propensities for bid in bids])).reshape(len(bids), -1)
    shown = chances > 0.0
    shown[np.arange(len(bids)), [bid.arm for bid in bids]] = False
    of, arm = np.nonzero(shown)
    row = pa.array(np.array(at)[of])
    columns: Columns = {
        "arm": pa.array(arms).take(pa.array(arm)),
        "estimate_usd": estimates[shown],
        "estimator": pa.repeat(ESTIMATOR, len(of)),
        "propensity": chances[shown],
    }
    for name in COUNTERFACTUAL.names:
        if name not in columns:
            columns[name] = told.column(name).take(row)
    got = np.array([settled[i].verdict.reward_usd for i in at])
    missed = np.fmax(np.where(shown, estimates, -np.inf) - got[:, None], 0.0)  # what is not known is no regret
    return _batch(columns, COUNTERFACTUAL), float(missed.max(axis=1).sum())


def events(
    made: pa.RecordBatch | None,
    at: np.ndarray,
    settled: Sequence[Settled],
    told: pa.RecordBatch | None,
    left_out: pa.RecordBatch | None = None,
    left_at: Sequence[int] = (),
) -> pa.RecordBatch:
    """Located BanditEvent rows: decisions and rewards in the order in which the policy saw them.

    ``made`` and ``told`` are the rows of :func:`decisions` (which stood at rows ``at``) and :func:`outcomes`,
    ``left_out`` those of :func:`implausible`, which stood at rows ``left_at``.
    """
    parts, places = [], []
    if left_out is not None and left_out.num_rows:
        parts.append(left_out)
        places.append(np.array(left_at, np.int64) * 2 + 1)
    if made is not None:
        shared = [name for name in EVENT.names if name in DECISION.names]
        decided: Columns = {name: made.column(name) for name in shared}
        decided["kind"] = pa.repeat("decision", made.num_rows)
        decided["reward_usd"] = decided["utility"] = np.zeros(made.num_rows)
        decided["detail"] = pa.repeat("", made.num_rows)
        parts.append(_batch(decided, EVENT))
        places.append(at * 2 + 1)
    if told is not None:
        # A reward that came from a bid that expired is none: nothing was learned.
        kinds = [
            (i, kind)
            for i, item in enumerate(settled)
            if item.verdict.kind not in (EXPIRED, INACTIVE)
            for kind in (("reward", "drift") if item.drift else ("correction",) if item.correction else ("reward",))
        ]
        parts.append(_rewards(settled, kinds, told))
        # Rewards of row i were learned before row i was decided.
        places.append(np.array([settled[i].trigger * 2 for i, _ in kinds], np.int64))
    order = np.argsort(np.concatenate(places), kind="stable")
    return pa.concat_batches(parts).take(pa.array(order))


def _rewards(settled: Sequence[Settled], kinds: Sequence[tuple[int, str]], told: pa.RecordBatch) -> pa.RecordBatch:
    """BanditEvent rows of ``kinds`` (place among ``settled``, kind of event)."""
    bids = [settled[i].bid for i, _ in kinds]
    starts = np.cumsum([0, *(len(bid.context) // 8 for bid in bids)]).astype(np.int32)
    flat = np.frombuffer(b"".join([bid.context for bid in bids]))
    row = pa.array([i for i, _ in kinds], pa.int64())
    columns: Columns = {
        "kind": [kind for _, kind in kinds],
        "policy": [bid.policy for bid in bids],
        "policy_version": [bid.policy_version for bid in bids],
        "detail": pa.repeat("", len(bids)),
        "features": _lists(starts, pa.array(flat), "features"),
    }
    for name in EVENT.names:
        if name not in columns:
            columns[name] = told.column(name).take(row)
    return _batch(columns, EVENT)


def implausible(
    batch: pa.RecordBatch, rows: OpportunityColumns, doubted: Sequence[tuple[int, bytes]], by: StageContext
) -> pa.RecordBatch:
    """BanditEvent rows of what was too good to be true: (row, episode) pairs in order; ``detail`` says why."""
    at = np.array([row for row, _ in doubted], np.int64)
    count = len(at)
    found = batch.take(pa.array(at))
    x = rows.x[:, at]
    columns: Columns = {
        # There is no decision: the episode's name tells two such rows apart.
        "decision_id": pa.array([episode for _, episode in doubted], pa.binary()),
        "kind": pa.repeat("implausible", count),
        "topology": pa.repeat(by.topology, count),
        "run_id": pa.repeat(by.run_id, count),
        "policy": pa.repeat("", count),
        "policy_version": np.zeros(count, np.uint64),
        "arm": pa.repeat("", count),
        "propensity": np.zeros(count),
        "reward_usd": np.zeros(count),
        "utility": np.zeros(count),
        "episode_id": pa.array([episode for _, episode in doubted], pa.binary()),
        "detail": ["; ".join(said for said, mask in rows.doubts.items() if mask[row]) for row in at.tolist()],
        "features": _lists(np.arange(count + 1, dtype=np.int32) * len(x), pa.array(x.T.ravel()), "features"),
    }
    for name in EVENT.names:
        if name not in columns:
            columns[name] = found.column(name)
    return _batch(columns, EVENT)


def _batch(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        value if isinstance(value, pa.Array) else pa.array(value, field.type)
        for field, value in ((field, columns[field.name]) for field in schema)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _pools(legs: pa.ListArray) -> pa.ListArray:
    """The pools of each row's legs."""
    lengths = legs.value_lengths().to_numpy()
    starts = np.concatenate(([0], lengths.cumsum())).astype(np.int32)
    return _lists(starts, legs.flatten().field("pool"), "pools")


def _lists(starts: np.ndarray, values: pa.Array, name: str) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(starts), values, type=DECISION.field(name).type)


def _coordinates(sources: Sequence[tuple[str, int, int]]) -> Columns:
    topics = sorted({topic for topic, _, _ in sources})
    index = {topic: i for i, topic in enumerate(topics)}
    return {
        "source_topic": pa.DictionaryArray.from_arrays(
            pa.array([index[topic] for topic, _, _ in sources], pa.int8()), pa.array(topics, pa.utf8())
        ),
        "source_partition": pa.array([partition for _, partition, _ in sources], pa.int32()),
        "source_offset": pa.array([offset for _, _, offset in sources], pa.int64()),
    }
