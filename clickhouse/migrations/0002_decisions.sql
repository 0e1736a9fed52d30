-- What was found, what was decided, what came of it. Ids are 32 hexadecimal digits.
-- Rows are replaced by those of a higher logic_version with the same key; a replay (run_id) never replaces live rows.

CREATE TABLE IF NOT EXISTS mev_opportunities
(
    timestamp DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    opportunity_id String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    chain LowCardinality(String),
    slot UInt64 CODEC(Delta, LZ4),
    tx_index UInt32,
    ix_index UInt32,
    path LowCardinality(String),
    mint LowCardinality(String),
    amount_in UInt128,
    amount_out UInt128,
    gross_profit Int128,
    net_profit Int128,
    cost UInt128,
    gross_profit_usd Float64,
    net_profit_usd Float64,
    log_rate Float64,
    late Bool,
    new_episode Bool,
    closed Bool,
    opened_slot UInt64,
    opened_at DateTime64(6, 'UTC'),
    ordinal UInt64,
    `legs.pool` Array(LowCardinality(String)),
    `legs.mint_in` Array(LowCardinality(String)),
    `legs.mint_out` Array(LowCardinality(String)),
    `legs.amount_in` Array(UInt128),
    `legs.amount_out` Array(UInt128),
    `legs.venue` Array(LowCardinality(String)),
    logic_version UInt64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree(logic_version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, opportunity_id, topology, run_id);

CREATE TABLE IF NOT EXISTS mev_decisions
(
    timestamp DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    decision_id String,
    opportunity_id String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    chain LowCardinality(String),
    slot UInt64 CODEC(Delta, LZ4),
    tx_index UInt32,
    ix_index UInt32,
    mint LowCardinality(String),
    arm LowCardinality(String),
    propensity Float64,
    score Float64,
    tip_share Float64,
    tip UInt128,
    expected_profit_usd Float64,
    policy LowCardinality(String),
    policy_version UInt64,
    model_version UInt64,
    seed UInt64,
    features Array(Float64),
    arms Array(LowCardinality(String)),
    arm_propensities Array(Float64),
    arm_scores Array(Float64),
    logic_version UInt64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree(logic_version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, decision_id, topology, run_id);

CREATE TABLE IF NOT EXISTS mev_counterfactuals
(
    timestamp DateTime64(6, 'UTC'),
    decision_id String,
    arm LowCardinality(String),
    estimator LowCardinality(String),
    estimate_usd Float64,
    propensity Float64,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, decision_id, arm, estimator, topology, run_id);

CREATE TABLE IF NOT EXISTS mev_decision_lineage
(
    timestamp DateTime64(6, 'UTC'),
    decision_id String,
    opportunity_id String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    topic LowCardinality(String),
    `partition` Int32,
    offset Int64,
    chain LowCardinality(String),
    slot UInt64,
    tx_index UInt32,
    ix_index UInt32,
    pools Array(LowCardinality(String)),
    features Array(Float64),
    scores Array(Float64),
    policy LowCardinality(String),
    policy_version UInt64,
    model_version UInt64,
    logic_version UInt64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree(logic_version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, decision_id, topology, run_id);

CREATE TABLE IF NOT EXISTS outcomes
(
    timestamp DateTime64(6, 'UTC'),
    decision_id String,
    opportunity_id String,
    chain LowCardinality(String),
    slot UInt64,
    kind LowCardinality(String),
    arm LowCardinality(String),
    propensity Float64,
    reward_usd Float64,
    realized_profit Int128,
    evidence String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, decision_id, kind, topology, run_id);
