-- Every call of the control service, refused ones too, and what became of commands afterwards.

CREATE TABLE IF NOT EXISTS control_audit
(
    timestamp DateTime64(6, 'UTC'),
    call_id String,
    identity LowCardinality(String),
    role LowCardinality(String),
    peer String,
    method LowCardinality(String),
    topology LowCardinality(String),
    target String,
    status LowCardinality(String),
    outcome LowCardinality(String),
    command_id String,
    version UInt64,
    idempotency_key String,
    reason String,
    detail String,
    request String,
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, source_partition, source_offset);
