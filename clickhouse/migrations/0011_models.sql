-- What models said of opportunities, how they do, and regret by day.

CREATE TABLE IF NOT EXISTS model_scores
(
    timestamp DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    opportunity_id String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    chain LowCardinality(String),
    slot UInt64 CODEC(Delta, LZ4),
    model LowCardinality(String),
    target LowCardinality(String),
    score Float64,
    candidate LowCardinality(String),
    model_version UInt64,
    model_id String,
    logic_version UInt64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree(logic_version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, opportunity_id, model, topology, run_id);

-- Figures are NaN where there is none to tell.
CREATE TABLE IF NOT EXISTS model_events
(
    timestamp DateTime64(6, 'UTC'),
    kind LowCardinality(String),
    topology LowCardinality(String),
    run_id LowCardinality(String),
    chain LowCardinality(String),
    slot UInt64,
    model LowCardinality(String),
    target LowCardinality(String),
    candidate LowCardinality(String),
    champion Bool,
    labels UInt64,
    log_loss Float64,
    mae Float64,
    roc_auc Float64,
    ece Float64,
    loss_difference Float64,
    evidence Float64,
    detail String,
    opportunity_id String,
    ordinal UInt64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, model, ordinal, topology, run_id);

-- Regret by day: what the best arm of each decision would have brought by the landing rule, less what the choice
-- brought. Decisions without an estimate for another arm count with none.
CREATE OR REPLACE VIEW mev_regret_1d AS
SELECT
    toDate(d.timestamp) AS day,
    d.topology AS topology,
    d.run_id AS run_id,
    d.chain AS chain,
    d.policy AS policy,
    count() AS decisions,
    uniqExact(d.episode_id) AS episodes,
    sum(o.reward_usd) AS reward_usd,
    sum(greatest(o.reward_usd, ifNull(c.best_usd, o.reward_usd)) - o.reward_usd) AS regret_usd
FROM (SELECT * FROM mev_decisions FINAL) AS d
INNER JOIN
(
    SELECT decision_id, topology, run_id, argMax(kind, revision) AS kind, argMax(reward_usd, revision) AS reward_usd
    FROM outcomes FINAL GROUP BY decision_id, topology, run_id
) AS o ON o.decision_id = d.decision_id AND o.topology = d.topology AND o.run_id = d.run_id
LEFT JOIN
(
    SELECT decision_id, topology, run_id, toNullable(max(estimate_usd)) AS best_usd
    FROM mev_counterfactuals FINAL GROUP BY decision_id, topology, run_id
) AS c ON c.decision_id = d.decision_id AND c.topology = d.topology AND c.run_id = d.run_id
WHERE o.kind NOT IN ('expired', 'inactive')
GROUP BY day, topology, run_id, chain, policy;
