-- Topics kept as they were: bandit events, what browsers saw, answers of shards, messages that failed.

CREATE TABLE IF NOT EXISTS bandit_events_proto
(
    timestamp DateTime64(6, 'UTC'),
    decision_id String,
    kind LowCardinality(String),
    topology LowCardinality(String),
    run_id LowCardinality(String),
    chain LowCardinality(String),
    slot UInt64,
    policy LowCardinality(String),
    policy_version UInt64,
    arm LowCardinality(String),
    propensity Float64,
    reward_usd Float64,
    features Array(Float64),
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, decision_id, kind, topology, run_id);

CREATE TABLE IF NOT EXISTS realtime_proto
(
    timestamp DateTime64(6, 'UTC'),
    channel LowCardinality(String),
    type LowCardinality(String),
    pool String,
    payload_hex String ALIAS lower(hex(payload)),
    topology LowCardinality(String),
    run_id LowCardinality(String),
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    _payload String EPHEMERAL,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    payload String MATERIALIZED _payload,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, channel, source_topic, source_partition, source_offset, sipHash128(payload), run_id);

CREATE TABLE IF NOT EXISTS control_acks
(
    timestamp DateTime64(6, 'UTC'),
    command_id String,
    topology LowCardinality(String),
    shard UInt32,
    run_id LowCardinality(String),
    stage LowCardinality(String),
    version UInt64,
    nonce String,
    status LowCardinality(String),
    reason LowCardinality(String),
    detail String,
    topic LowCardinality(String),
    `partition` Int32,
    offset Int64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, command_id, topology, shard, run_id, stage, status);

CREATE TABLE IF NOT EXISTS dead_letters
(
    timestamp DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    `partition` Int32,
    offset Int64,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    stage LowCardinality(String),
    reason LowCardinality(String),
    detail String,
    payload_hex String ALIAS lower(hex(payload)),
    _payload String EPHEMERAL,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    payload String MATERIALIZED _payload,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, topic, `partition`, offset, stage, topology, run_id);
