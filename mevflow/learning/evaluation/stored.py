"""The log of decisions as ClickHouse has it, and a replay's chances for the same decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mevflow.learning.evaluation.log import Floats, Log
from mevflow.operators.errors import MevflowError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

#: Settled decisions alone: what has expired, or never took effect, brought nothing that is known. The highest revision
#: of an outcome counts.
_SETTLED = """
SELECT d.decision_id, d.episode_id, d.features, d.arms, d.arm_propensities, d.arm, o.reward_usd
FROM (SELECT * FROM mev_decisions FINAL WHERE run_id = {run:String} AND topology = {topology:String}) AS d
INNER JOIN
(
    SELECT decision_id, argMax(reward_usd, revision) AS reward_usd, argMax(kind, revision) AS kind
    FROM outcomes FINAL WHERE run_id = {run:String} AND topology = {topology:String} GROUP BY decision_id
) AS o ON o.decision_id = d.decision_id
WHERE o.kind NOT IN ('expired', 'inactive')
  AND d.timestamp >= parseDateTime64BestEffort({since:String}, 6, 'UTC')
  AND d.timestamp < parseDateTime64BestEffort({until:String}, 6, 'UTC')
  AND ({chain:String} = '' OR d.chain = {chain:String})
ORDER BY d.timestamp, d.slot, d.tx_index, d.ix_index, d.decision_id
LIMIT {limit:UInt64}
"""
_CHANCES = """
SELECT decision_id, arms, arm_propensities FROM mev_decisions FINAL
WHERE run_id = {run:String} AND decision_id IN (
    SELECT decision_id FROM mev_decisions WHERE run_id = {logged:String} AND topology = {topology:String})
"""

#: More decisions than this are not read at once.
MOST = 2_000_000


def read_log(
    client: Client, topology: str, since: str, until: str, chain: str = "", run_id: str = ""
) -> tuple[Log, list[str]]:
    """The log, and the decisions' ids in its order. Raises MevflowError when there is none in the window."""
    rows = client.query(
        _SETTLED,
        {
            "run": run_id,
            "topology": topology,
            "since": since,
            "until": until,
            "chain": chain,
            "limit": MOST,
        },
    ).result_rows
    if not rows:
        raise MevflowError(
            f"no settled decision of {topology} from {since} to {until}",
            hint="mevflow clickhouse query 'SELECT topology, run_id, min(timestamp), max(timestamp), count() "
            "FROM mev_decisions GROUP BY ALL'",
        )
    widths = {len(row[2]) for row in rows}
    if len(widths) > 1:
        raise MevflowError(
            f"decisions with {' and '.join(map(str, sorted(widths)))} features are in the window",
            hint="choose a window of one logic version",
        )
    names = tuple(sorted({arm for row in rows for arm in row[3]}, key=lambda arm: (arm == "skip", arm)))
    place = {arm: index for index, arm in enumerate(names)}
    chances = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        chances[i, [place[arm] for arm in row[3]]] = row[4]
    # Decisions from before episodes were named stand for themselves.
    _, episodes = np.unique([row[1] or row[0] for row in rows], return_inverse=True)
    log = Log(
        contexts=np.array([row[2] for row in rows], np.float64),
        chances=chances,
        arms=np.array([place[row[5]] for row in rows]),
        rewards=np.array([row[6] for row in rows], np.float64),
        episodes=episodes,
        names=names,
    )
    return log, [str(row[0]) for row in rows]


def replayed_chances(
    client: Client, log: Log, ids: list[str], topology: str, target_run: str, run_id: str = ""
) -> tuple[Floats, np.ndarray]:
    """``[n, arms]`` of the replay ``target_run``, which ran the target on the same record, and which rows it decided.

    Ids are the same in a replay, so decisions are matched by them. A replay that has bid on an episode decides no more
    on it where the log went on: those rows are left out, and reported.
    """
    place = {name: index for index, name in enumerate(log.names)}
    rows: list[Any] = list(
        client.query(_CHANCES, {"run": target_run, "logged": run_id, "topology": topology}).result_rows
    )
    if not rows:
        raise MevflowError(f"run {target_run!r} decided none of these decisions", hint="mevflow replay TOPOLOGY --help")
    index = {identifier: i for i, identifier in enumerate(ids)}
    out, there = np.zeros(log.chances.shape), np.zeros(len(log), np.bool_)
    for identifier, arms, chances in rows:
        at = index.get(identifier)
        if at is None:
            continue
        for arm, chance in zip(arms, chances, strict=True):
            if arm in place:
                out[at, place[arm]] = chance
        there[at] = True
    if not there.any():
        raise MevflowError(
            f"run {target_run!r} decided none of the log's {len(ids):,} decisions",
            hint="evaluate the window that it was replayed over",
        )
    return out, there
