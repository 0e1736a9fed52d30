"""What a run came to, read back from ClickHouse: by chain, the best opportunities, decisions by arm, rows a table."""

from __future__ import annotations

from typing import Any

#: Tables that the report counts, in the order in which data reaches them.
TABLES = (
    "raw_swaps",
    "dex_pools",
    "price_feeds",
    "mev_opportunities",
    "arbitrage_opportunities",
    "mev_decisions",
    "mev_decision_lineage",
    "mev_counterfactuals",
    "outcomes",
    "bandit_events_proto",
    "transaction_labels",
    "realtime_proto",
    "control_acks",
    "control_audit",
    "dead_letters",
    "mev_stats_1m",
)
_VIEWS = ("arbitrage_opportunities", "mev_stats_1m", "raw_swaps")

_BY_CHAIN = """
SELECT s.chain, transactions, swaps, first, last, ifNull(found, 0), ifNull(episodes, 0), ifNull(profit_usd, 0)
FROM
(
    SELECT chain, uniqExact(signature_raw) AS transactions, count() AS swaps,
           min(timestamp) AS first, max(timestamp) AS last
    FROM raw_swaps_rows FINAL GROUP BY chain
) AS s
LEFT JOIN
(
    SELECT chain, countIf(NOT closed) AS found, countIf(new_episode) AS episodes
    FROM mev_opportunities FINAL WHERE run_id = {run_id:String} GROUP BY chain
) AS o ON o.chain = s.chain
LEFT JOIN
(
    SELECT chain, sum(net_profit_usd) AS profit_usd
    FROM arbitrage_opportunities WHERE run_id = {run_id:String} GROUP BY chain
) AS e ON e.chain = s.chain
ORDER BY s.chain
"""

_TOP = """
SELECT chain, opened_slot, path, amount_in, net_profit_usd, if(closed_at IS NULL, NULL, open_seconds), open_slots,
       pools, opportunity_id, toString(opened_at), events
FROM arbitrage_opportunities
WHERE run_id = {run_id:String} AND ({chain:String} = '' OR chain = {chain:String})
ORDER BY net_profit_usd DESC, opportunity_id
LIMIT {limit:UInt32}
"""

_ARMS = """
SELECT d.chain, d.arm, count(), avg(d.propensity), countIf(o.kind = 'landed'), sum(o.reward_usd)
FROM mev_decisions AS d FINAL
LEFT JOIN (SELECT * FROM outcomes FINAL) AS o ON o.decision_id = d.decision_id AND o.run_id = d.run_id
WHERE d.run_id = {run_id:String}
GROUP BY d.chain, d.arm
ORDER BY d.chain, d.arm
"""

#: Bids that were settled, those whose landing hung on how much was bid, and rows left out as too good to be true.
_LANDING = """
SELECT countIf(kind IN ('landed', 'missed')),
       countIf(kind IN ('landed', 'missed') AND (evidence LIKE '%state=contested%' OR evidence LIKE '%reverted=%')),
       (SELECT uniqExact(episode_id) FROM bandit_events_proto WHERE kind = 'implausible' AND run_id = {run_id:String})
FROM outcomes FINAL WHERE run_id = {run_id:String}
"""


def connect() -> Any:
    """A client for the configured ClickHouse. Raises UnreachableError."""
    from mevflow.clickhouse.client import connect as open_client
    from mevflow.flows.config import config

    where = config().clickhouse
    return open_client(
        where.host,
        where.port,
        user=where.user,
        password=where.password.get_secret_value(),
        database=where.database,
    )


def connect_server() -> Any:
    """Like :func:`connect`, without naming the database: it may not be there yet."""
    from mevflow.clickhouse.client import connect as open_client
    from mevflow.flows.config import config

    where = config().clickhouse
    return open_client(where.host, where.port, user=where.user, password=where.password.get_secret_value())


def by_chain(client: Any, run_id: str = "") -> list[dict[str, Any]]:
    """Transactions, swaps, opportunities and their episodes, a row a chain. Swaps are those of all runs, each once."""
    columns = ("chain", "transactions", "swaps", "first", "last", "opportunities", "episodes", "best_profit_usd")
    return _rows(client, _BY_CHAIN, columns, run_id=run_id)


def top_opportunities(client: Any, limit: int = 10, chain: str | None = None, run_id: str = "") -> list[dict[str, Any]]:
    """Episodes by the net profit of their best moment; ``amount_in`` is in whole tokens of the first mint."""
    columns = (
        "chain", "slot", "path", "amount_in", "net_profit_usd", "open_s", "open_slots", "pools", "opportunity_id",
        "opened_at", "events",
    )  # fmt: skip
    return _rows(client, _TOP, columns, run_id=run_id, chain=chain or "", limit=limit)


def decisions_by_arm(client: Any, run_id: str = "") -> list[dict[str, Any]]:
    """How often each arm was chosen, with what mean propensity, and what came of it."""
    columns = ("chain", "arm", "decisions", "mean_propensity", "landed", "reward_usd")
    return _rows(client, _ARMS, columns, run_id=run_id)


def landing(client: Any, run_id: str = "") -> dict[str, Any]:
    """``settled`` bids, on how many of them landing ``hung_on_bid``, and ``implausible`` episodes left out."""
    return _rows(client, _LANDING, ("settled", "hung_on_bid", "implausible"), run_id=run_id)[0]


def rows_by_table(client: Any) -> dict[str, int]:
    """Distinct rows of every table (replaced ones not counted twice), of all runs."""
    return {
        name: int(client.command(f"SELECT count() FROM {name}{'' if name in _VIEWS else ' FINAL'}")) for name in TABLES
    }


def _rows(client: Any, sql: str, columns: tuple[str, ...], **parameters: Any) -> list[dict[str, Any]]:
    found = client.query(sql, parameters=parameters).result_rows
    return [dict(zip(columns, row, strict=True)) for row in found]
