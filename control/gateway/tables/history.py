"""What is stored of the chain and of what was done about it, as lists and figures. Times are microseconds, UTC.

Amounts are raw integers as text. ``run_id`` is that of the live run (empty) unless another is asked for.
"""

from __future__ import annotations

from mevflow.control.gateway.tables.select import Key, ListTable, RowFilter


def _span(column: str = "timestamp") -> dict[str, RowFilter]:
    return {
        "from_us": RowFilter(f"{column} >= fromUnixTimestamp64Micro({{from_us:Int64}})", "integer"),
        "to_us": RowFilter(f"{column} < fromUnixTimestamp64Micro({{to_us:Int64}})", "integer"),
        "chain": RowFilter("chain = {chain:String}"),
        "run_id": RowFilter("run_id = {run_id:String}", default=""),
        "topology": RowFilter("topology = {topology:String}"),
    }


_BY_TIME = {"time": Key("timestamp_us", "Int64")}

EPISODES = ListTable(
    "/api/opportunities",
    "Opportunities",
    "Cyclic arbitrage, one row an episode: from the event that opened it to the one that closed it, at its best moment",
    """SELECT opportunity_id, chain, topology, run_id, toUnixTimestamp64Micro(opened_at) AS opened_at_us,
       toUnixTimestamp64Micro(closed_at) AS closed_at_us, opened_slot, last_slot, open_slots, open_seconds, path, mint,
       pools, venues, events, length(pools) AS legs, net_profit_usd, gross_profit_usd
FROM arbitrage_opportunities WHERE $where""",
    {
        **_span("opened_at"),
        "venue": RowFilter("has(venues, {venue:String})"),
        "pool": RowFilter("has(pools, {pool:String})"),
        "mint": RowFilter("mint = {mint:String}"),
        "token": RowFilter("positionCaseInsensitive(path, {token:String}) > 0"),
        "min_profit_usd": RowFilter("net_profit_usd >= {min_profit_usd:Float64}", "number"),
        "legs": RowFilter("length(pools) = {legs:Int64}", "integer"),
        "min_open_slots": RowFilter("toInt64(open_slots) >= {min_open_slots:Int64}", "integer"),
    },
    {"profit": Key("net_profit_usd", "Float64"), "time": Key("opened_at_us", "Int64")},
    (Key("opportunity_id", "String"), Key("topology", "String")),
)

DECISIONS = ListTable(
    "/api/decisions",
    "Decisions",
    "What was decided, and what came of it",
    """SELECT decision_id, opportunity_id, topology, run_id, chain, slot,
       toUnixTimestamp64Micro(timestamp) AS timestamp_us, mint, arm, propensity, score,
       tip_share, toString(tip) AS tip_raw, expected_profit_usd, policy, policy_version,
       model_version, outcome, reward_usd
FROM mev_decisions AS d FINAL
LEFT JOIN
(
    SELECT decision_id, run_id, topology, argMax(kind, timestamp) AS outcome,
           toNullable(argMax(outcomes.reward_usd, timestamp)) AS reward_usd
    FROM outcomes FINAL GROUP BY decision_id, run_id, topology
) AS o USING (decision_id, run_id, topology)
WHERE $where""",
    {
        **_span(),
        "arm": RowFilter("arm = {arm:String}"),
        "policy": RowFilter("policy = {policy:String}"),
        "outcome": RowFilter("outcome = {outcome:String}"),
        "opportunity_id": RowFilter("opportunity_id = {opportunity_id:String}"),
        "min_expected_usd": RowFilter("expected_profit_usd >= {min_expected_usd:Float64}", "number"),
    },
    {**_BY_TIME, "expected": Key("expected_profit_usd", "Float64")},
    (Key("decision_id", "String"), Key("topology", "String")),
)

LABELS = ListTable(
    "/api/labels",
    "Labels",
    "Realised arbitrages, sandwiches, just-in-time liquidity",
    """SELECT toUnixTimestamp64Micro(timestamp) AS timestamp_us, chain, slot, tx_index, kind, profit_mint,
       toString(profit) AS profit_raw, `group`, signature, signer, topology, run_id
FROM transaction_labels FINAL WHERE $where""",
    {**_span(), "kind": RowFilter("kind = {kind:String}"), "signer": RowFilter("signer = {signer:String}")},
    _BY_TIME,
    (Key("signature", "String"), Key("kind", "String")),
)

PRICES = ListTable(
    "/api/prices",
    "Prices",
    "Prices as detection used them",
    """SELECT toUnixTimestamp64Micro(timestamp) AS timestamp_us, chain, slot, tx_index, ix_index, mint, numeraire,
       price, pool, source, topology, run_id
FROM price_feeds FINAL WHERE $where""",
    {**_span(), "mint": RowFilter("mint = {mint:String}"), "pool": RowFilter("pool = {pool:String}")},
    _BY_TIME,
    (Key("slot", "UInt64"), Key("tx_index", "UInt32"), Key("ix_index", "UInt32"), Key("pool", "String"),
     Key("mint", "String"), Key("numeraire", "String")),
)  # fmt: skip

POOLS = ListTable(
    "/api/pools",
    "Pools",
    "The latest state of each pool; a reserve, price or liquidity that is not known is null",
    """SELECT pool, chain, slot, toUnixTimestamp64Micro(timestamp) AS timestamp_us, venue, mint_a, mint_b, symbol_a,
       symbol_b, decimals_a, decimals_b, fee_pips, tick_spacing, tick,
       if(reserve_a = 0, NULL, toString(reserve_a)) AS reserve_a_raw,
       if(reserve_b = 0, NULL, toString(reserve_b)) AS reserve_b_raw,
       if(liquidity = 0, NULL, toString(liquidity)) AS liquidity_raw,
       if(sqrt_price_x64 = 0, NULL, toString(sqrt_price_x64)) AS sqrt_price_x64,
       if(sqrt_price_x96 = 0, NULL, toString(sqrt_price_x96)) AS sqrt_price_x96
FROM pools WHERE $where""",
    {
        "chain": RowFilter("chain = {chain:String}"),
        "venue": RowFilter("venue = {venue:String}"),
        "pool": RowFilter("pool = {pool:String}"),
        "mint": RowFilter("{mint:String} IN (mint_a, mint_b)"),
    },
    _BY_TIME,
    (Key("pool", "String"),),
)

TOKENS = ListTable(
    "/api/tokens",
    "Tokens",
    "Symbol and decimals of each token that a pool named",
    "SELECT chain, mint, symbol, decimals FROM tokens WHERE $where ORDER BY chain, mint",
    {"chain": RowFilter("chain = {chain:String}"), "mint": RowFilter("mint = {mint:String}")},
    most=10_000,
)

MINUTES = ListTable(
    "/api/stats/minute",
    "StatsMinute",
    "Opportunities and profit by minute, or by any number of seconds (bucket_s)",
    """SELECT toInt64(intDiv(toUnixTimestamp(minute), bucket)) * bucket * 1000000 AS minute_us,
       {bucket_s:Int64} AS bucket, sum(opportunities) AS opportunities, sum(episodes) AS episodes,
       sum(total_profit) AS profit_micro_usd
FROM mev_stats_1m WHERE $where GROUP BY minute_us, bucket ORDER BY minute_us""",
    {
        "bucket_s": RowFilter("{bucket_s:Int64} >= 60", "integer", "60"),
        "from_us": RowFilter("minute >= toDateTime(intDiv({from_us:Int64}, 1000000), 'UTC')", "integer"),
        "to_us": RowFilter("minute < toDateTime(intDiv({to_us:Int64}, 1000000), 'UTC')", "integer"),
        "chain": RowFilter("chain = {chain:String}"),
        "run_id": RowFilter("run_id = {run_id:String}", default=""),
        "topology": RowFilter("topology = {topology:String}"),
    },
    most=9_999,
)

DAYS = ListTable(
    "/api/stats/days",
    "StatsDays",
    "Days that swaps are stored of, newest first",
    """SELECT toString(toDate(timestamp)) AS day, chain, toUnixTimestamp64Micro(min(timestamp)) AS from_us,
       toUnixTimestamp64Micro(max(timestamp)) AS to_us, count() AS swaps
FROM raw_swaps WHERE $where GROUP BY day, chain ORDER BY day DESC, chain""",
    {"chain": RowFilter("chain = {chain:String}")},
)

#: What came of a decision last; ``reward`` is null while nothing has.
_LAST_OUTCOMES = """(
        SELECT decision_id, run_id, topology, argMax(kind, timestamp) AS kind,
               toNullable(argMax(reward_usd, timestamp)) AS reward
        FROM outcomes FINAL GROUP BY decision_id, run_id, topology
    ) AS o USING (decision_id, run_id, topology)"""

ARMS = ListTable(
    "/api/bandit/arms",
    "BanditArms",
    "Arms by policy and chain: how often chosen, how likely, what was expected, what came back with its standard error",
    f"""SELECT chain, policy, max(policy_version) AS policy_version, arm, count() AS decisions,
       avg(propensity) AS mean_propensity, min(propensity) AS min_propensity, avg(score) AS mean_score,
       sum(expected_profit_usd) AS expected_usd, countIf(outcome != '') AS outcomes,
       countIf(outcome = 'landed') AS landed, sum(reward) AS reward_usd, avg(reward) AS mean_reward_usd,
       stddevSamp(reward) / sqrt(count(reward)) AS reward_stderr_usd
FROM
(
    SELECT d.chain AS chain, d.policy AS policy, d.policy_version AS policy_version, d.arm AS arm,
           d.propensity AS propensity, d.score AS score, d.expected_profit_usd AS expected_profit_usd,
           o.kind AS outcome, o.reward AS reward
    FROM (SELECT * FROM mev_decisions FINAL WHERE $where) AS d
    LEFT JOIN
    {_LAST_OUTCOMES}
)
GROUP BY chain, policy, arm ORDER BY chain, policy, decisions DESC, arm""",
    {**_span(), "policy": RowFilter("policy = {policy:String}")},
)

POLICIES = ListTable(
    "/api/bandit/policies",
    "BanditPolicies",
    "Policies by version and chain: since when, choices of a propensity below a half (unlikely), what came back",
    f"""SELECT chain, policy, policy_version, toUnixTimestamp64Micro(min(at)) AS from_us,
       toUnixTimestamp64Micro(max(at)) AS to_us, count() AS decisions, uniqExact(arm) AS arms,
       countIf(propensity < 0.5) AS unlikely, min(propensity) AS min_propensity,
       sum(expected_profit_usd) AS expected_usd,
       countIf(outcome != '') AS outcomes, countIf(outcome = 'landed') AS landed, sum(reward) AS reward_usd,
       avg(reward) AS mean_reward_usd, stddevSamp(reward) / sqrt(count(reward)) AS reward_stderr_usd
FROM
(
    SELECT d.chain AS chain, d.policy AS policy, d.policy_version AS policy_version, d.timestamp AS at, d.arm AS arm,
           d.propensity AS propensity, d.expected_profit_usd AS expected_profit_usd, o.kind AS outcome,
           o.reward AS reward
    FROM (SELECT * FROM mev_decisions FINAL WHERE $where) AS d
    LEFT JOIN
    {_LAST_OUTCOMES}
)
GROUP BY chain, policy, policy_version ORDER BY chain, policy, policy_version DESC""",
    {**_span(), "policy": RowFilter("policy = {policy:String}")},
)

SHARES = ListTable(
    "/api/bandit/shares",
    "BanditShares",
    "How often each arm was chosen, by any number of seconds (bucket_s)",
    """SELECT toInt64(intDiv(toUnixTimestamp(timestamp), bucket)) * bucket * 1000000 AS bucket_us,
       {bucket_s:Int64} AS bucket, arm, count() AS decisions
FROM (SELECT * FROM mev_decisions FINAL WHERE $where) GROUP BY bucket_us, bucket, arm ORDER BY bucket_us, arm""",
    {
        **_span(),
        "bucket_s": RowFilter("{bucket_s:Int64} >= 60", "integer", "3600"),
        "policy": RowFilter("policy = {policy:String}"),
    },
    most=9_999,
)

EVENTS = ListTable(
    "/api/bandit/events",
    "BanditEvents",
    "Choices and rewards as the bandit learned them",
    """SELECT toUnixTimestamp64Micro(timestamp) AS timestamp_us, decision_id, kind, chain, slot, policy, policy_version,
       arm, propensity, reward_usd, topology, run_id
FROM bandit_events_proto FINAL WHERE $where""",
    {**_span(), "kind": RowFilter("kind = {kind:String}"), "arm": RowFilter("arm = {arm:String}")},
    _BY_TIME,
    (Key("decision_id", "String"), Key("kind", "String"), Key("topology", "String")),
)

TABLES = (EPISODES, DECISIONS, LABELS, PRICES, POOLS, TOKENS, MINUTES, DAYS, ARMS, POLICIES, SHARES, EVENTS)
