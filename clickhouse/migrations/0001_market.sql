-- What happened on chain: swaps, pools, prices, labels.
--
-- Conventions of every table:
-- * Amounts are raw integer units. 0 in a state column (reserve, price, liquidity) means "not known".
-- * Pools, mints, signers and signatures are text: base58 on Solana, 0x-hex on EVM chains.
--   Signatures and signers are stored as bytes (NAME_raw); NAME is computed when read.
-- * run_id is empty for the live run and names a replay otherwise.
-- * ingest_by and ingest_seq are the sink's own: who wrote the row, and in which block. They are not part of
--   SELECT *. Columns that start with an underscore exist only in an INSERT.

CREATE TABLE IF NOT EXISTS raw_swaps
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
    signature String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signature_raw))), base58Encode(signature_raw)),
    signer String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signer_raw))), base58Encode(signer_raw))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (timestamp, slot, tx_index, ix_index)
ORDER BY (timestamp, slot, tx_index, ix_index, chain, source_topic, source_partition, source_offset, run_id);

-- The latest state of every pool: read it with FINAL, or through the view `pools`.
CREATE TABLE IF NOT EXISTS dex_pools
(
    timestamp DateTime64(6, 'UTC'),
    chain LowCardinality(String),
    slot UInt64,
    tx_index UInt32,
    ix_index UInt32,
    venue LowCardinality(String),
    pool String,
    kind LowCardinality(String),
    mint_a String,
    mint_b String,
    symbol_a LowCardinality(String),
    symbol_b LowCardinality(String),
    decimals_a UInt8,
    decimals_b UInt8,
    fee_pips UInt32,
    tick_spacing UInt32,
    reserve_a UInt128,
    reserve_b UInt128,
    sqrt_price_x64 UInt128,
    sqrt_price_x96 UInt256,
    liquidity UInt128,
    tick Int32,
    tick_lower Int32,
    tick_upper Int32,
    liquidity_delta Int128,
    known_tick_lower Int32,
    known_tick_upper Int32,
    known_range_set Bool,
    reanchored Bool,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    `ticks.tick` Array(Int32),
    `ticks.liquidity_net` Array(Int128),
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    chain_order UInt256 MATERIALIZED bitShiftLeft(toUInt256(slot), 64) + bitShiftLeft(toUInt256(tx_index), 32) + ix_index,
    _signature String EPHEMERAL,
    _signer String EPHEMERAL,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    signature_raw String MATERIALIZED _signature,
    signer_raw String MATERIALIZED _signer,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq,
    signature String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signature_raw))), base58Encode(signature_raw)),
    signer String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signer_raw))), base58Encode(signer_raw))
)
ENGINE = ReplacingMergeTree
ORDER BY (chain, pool, slot, tx_index, ix_index, kind, run_id);

CREATE TABLE IF NOT EXISTS price_feeds
(
    timestamp DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    chain LowCardinality(String),
    slot UInt64 CODEC(Delta, LZ4),
    tx_index UInt32,
    ix_index UInt32,
    mint LowCardinality(String),
    numeraire LowCardinality(String),
    price Float64,
    pool LowCardinality(String),
    source LowCardinality(String),
    topology LowCardinality(String),
    run_id LowCardinality(String),
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (timestamp, slot)
ORDER BY (timestamp, slot, tx_index, ix_index, chain, mint, numeraire, pool, source, run_id);

CREATE TABLE IF NOT EXISTS transaction_labels
(
    timestamp DateTime64(6, 'UTC'),
    chain LowCardinality(String),
    slot UInt64,
    tx_index UInt32,
    kind LowCardinality(String),
    swap_ix Array(UInt32),
    profit_mint LowCardinality(String),
    start_amount UInt128,
    end_amount UInt128,
    profit Int128,
    `group` String,
    topology LowCardinality(String),
    run_id LowCardinality(String),
    _signature String EPHEMERAL,
    _signer String EPHEMERAL,
    _ingest_by LowCardinality(String) EPHEMERAL,
    _ingest_seq UInt64 EPHEMERAL,
    signature_raw String MATERIALIZED _signature,
    signer_raw String MATERIALIZED _signer,
    ingest_by LowCardinality(String) MATERIALIZED _ingest_by,
    ingest_seq UInt64 MATERIALIZED _ingest_seq,
    signature String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signature_raw))), base58Encode(signature_raw)),
    signer String ALIAS if(chain = 'ethereum', concat('0x', lower(hex(signer_raw))), base58Encode(signer_raw))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, slot, tx_index, chain, kind, `group`, run_id);
