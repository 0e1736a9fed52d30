-- Sums by minute, and views for people.

-- Profits are integers of a millionth of a dollar, so that sums are exact in any order.
-- One sink owns the rows of its ingest_by, and repairs them after a crash (see sinks/clickhouse.py).
CREATE TABLE IF NOT EXISTS mev_stats_1m
(
    minute DateTime('UTC'),
    chain LowCardinality(String),
    topology LowCardinality(String),
    run_id LowCardinality(String),
    ingest_by LowCardinality(String),
    opportunities Int64,
    episodes Int64,
    total_profit Int64
)
ENGINE = SummingMergeTree((opportunities, episodes, total_profit))
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, chain, topology, run_id, ingest_by);

-- A row that reports the end of an episode is no opportunity.
CREATE MATERIALIZED VIEW IF NOT EXISTS mev_stats_1m_fill TO mev_stats_1m AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    chain,
    topology,
    run_id,
    ingest_by,
    toInt64(count()) AS opportunities,
    toInt64(countIf(new_episode)) AS episodes,
    sum(toInt64(round(net_profit_usd * 1e6))) AS total_profit
FROM mev_opportunities
WHERE NOT closed
GROUP BY minute, chain, topology, run_id, ingest_by;

-- The latest state of every pool in the live run.
CREATE VIEW IF NOT EXISTS pools AS
SELECT * FROM dex_pools FINAL
WHERE run_id = ''
ORDER BY slot DESC, tx_index DESC, ix_index DESC
LIMIT 1 BY chain, pool;

-- Symbol and decimals of every mint that a pool has named.
CREATE VIEW IF NOT EXISTS tokens AS
SELECT chain, mint, argMax(symbol, slot) AS symbol, argMax(decimals, slot) AS decimals
FROM
(
    SELECT chain, mint_a AS mint, symbol_a AS symbol, decimals_a AS decimals, slot FROM dex_pools WHERE mint_a != ''
    UNION ALL
    SELECT chain, mint_b AS mint, symbol_b AS symbol, decimals_b AS decimals, slot FROM dex_pools WHERE mint_b != ''
)
GROUP BY chain, mint;

-- One row per episode: from the event at which a cycle began to pay to the one at which it stopped.
-- closed_at is NULL while it is open (or when its end was not seen). Amounts are those of its best moment.
CREATE VIEW IF NOT EXISTS arbitrage_opportunities AS
SELECT
    o.chain AS chain,
    topology,
    run_id,
    opened_at,
    if(ended, last_at, NULL) AS closed_at,
    dateDiff('microsecond', opened_at, last_at) / 1e6 AS open_seconds,
    opened_slot,
    last_slot,
    last_slot - opened_slot AS open_slots,
    path,
    pools,
    venues,
    events,
    best_id AS opportunity_id,
    o.mint AS mint,
    best_amount_in / pow(10, t.decimals) AS amount_in,
    best_amount_out / pow(10, t.decimals) AS amount_out,
    best_net_profit / pow(10, t.decimals) AS net_profit,
    best_net_profit_usd AS net_profit_usd,
    best_gross_profit_usd AS gross_profit_usd
FROM
(
    SELECT
        chain,
        topology,
        run_id,
        opened_at,
        opened_slot,
        mint,
        `legs.pool` AS pools,
        any(path) AS path,
        argMax(`legs.venue`, (NOT closed, net_profit_usd)) AS venues,
        countIf(NOT closed) AS events,
        max(closed) AS ended,
        max(timestamp) AS last_at,
        max(slot) AS last_slot,
        argMax(opportunity_id, (NOT closed, net_profit_usd)) AS best_id,
        argMax(amount_in, (NOT closed, net_profit_usd)) AS best_amount_in,
        argMax(amount_out, (NOT closed, net_profit_usd)) AS best_amount_out,
        argMax(net_profit, (NOT closed, net_profit_usd)) AS best_net_profit,
        argMax(net_profit_usd, (NOT closed, net_profit_usd)) AS best_net_profit_usd,
        argMax(gross_profit_usd, (NOT closed, net_profit_usd)) AS best_gross_profit_usd
    FROM mev_opportunities FINAL
    GROUP BY chain, topology, run_id, opened_at, opened_slot, mint, pools
) AS o
LEFT JOIN tokens AS t ON t.chain = o.chain AND t.mint = o.mint;
