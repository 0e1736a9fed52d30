-- Records of swap topics. A row is what (topic and its incarnation, partition, offset) holds, not who stored it.
-- Where several stored one record, that of the live run counts.
CREATE TABLE IF NOT EXISTS raw_swaps_rows
(
    timestamp DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    chain LowCardinality(String),
    slot UInt64 CODEC(Delta, LZ4),
    tx_index UInt32,
    ix_index UInt32,
    venue LowCardinality(String),
    pool LowCardinality(String),
    mint_in LowCardinality(String),
    mint_out LowCardinality(String),
    amount_in UInt128,
    amount_out UInt128,
    reserve_a UInt128,
    reserve_b UInt128,
    sqrt_price_x64 UInt128,
    sqrt_price_x96 UInt256,
    liquidity UInt128,
    tick Int32,
    fee_pips UInt32,
    priority_fee_lamports UInt64,
    tip_lamports UInt64,
    a_to_b Bool,
    reanchored Bool,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    source_topic LowCardinality(String),
    source_incarnation LowCardinality(String),
    source_partition Int32,
    source_offset Int64 CODEC(Delta, LZ4),
    _signature String EPHEMERAL,
    _signer String EPHEMERAL,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    signature_raw String MATERIALIZED _signature,
    signer_raw String MATERIALIZED _signer,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq CODEC(Delta, LZ4),
    live UInt8 MATERIALIZED run_id = '',
    signature String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signature_raw))), base58Encode(signature_raw)),
    signer String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signer_raw))), base58Encode(signer_raw)),
    CONSTRAINT fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0
)
ENGINE = ReplacingMergeTree(live)
PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (timestamp, slot, tx_index, ix_index)
ORDER BY (timestamp, slot, tx_index, ix_index, chain, source_topic, source_partition, source_offset, source_incarnation);

-- What was stored before. Running it again adds nothing: rows of one key are one row.
INSERT INTO raw_swaps_rows
(
    timestamp, chain, slot, tx_index, ix_index, venue, pool, mint_in, mint_out, amount_in,
    amount_out, reserve_a, reserve_b, sqrt_price_x64, sqrt_price_x96, liquidity, tick, fee_pips,
    priority_fee_lamports, tip_lamports, a_to_b, reanchored, topology, run_id, source_topic,
    source_partition, source_offset,
    _signature, _signer, _ingest_by, _ingest_seq
)
SELECT
    timestamp, chain, slot, tx_index, ix_index, venue, pool, mint_in, mint_out, amount_in,
    amount_out, reserve_a, reserve_b, sqrt_price_x64, sqrt_price_x96, liquidity, tick, fee_pips,
    priority_fee_lamports, tip_lamports, a_to_b, reanchored, topology, run_id, source_topic,
    source_partition, source_offset,
    signature_raw, signer_raw, ingest_by, ingest_seq
FROM raw_swaps
SETTINGS max_partitions_per_insert_block = 0;

-- The sums as they were kept until now. They are computed from the rows from here on (see 0008).
CREATE TABLE IF NOT EXISTS mev_stats_1m_kept
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

TRUNCATE TABLE mev_stats_1m_kept;

INSERT INTO mev_stats_1m_kept
SELECT minute, chain, topology, run_id, ingest_by, sum(opportunities), sum(episodes), sum(total_profit)
FROM mev_stats_1m
GROUP BY minute, chain, topology, run_id, ingest_by
SETTINGS max_partitions_per_insert_block = 0;
