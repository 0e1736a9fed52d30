-- A sink that was superseded writes no more. {database} is this database's name: inserts come from other ones too.

-- Who may write: a sink claims its lineage (topology/run/node/shard) under the next epoch, and writes as LINEAGE#EPOCH.
CREATE TABLE IF NOT EXISTS sink_claims
(
    lineage String,
    epoch UInt32,
    token String,
    host String,
    pid UInt32,
    claimed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (lineage, epoch);

-- Who may not: every epoch below a claimed one. Rows are only ever added, so a fence cannot be lowered.
CREATE TABLE IF NOT EXISTS sink_fences
(
    writer String,
    fenced UInt8
)
ENGINE = Join(ANY, LEFT, writer);

-- An INSERT of a fenced writer is refused whole, by the engine, at whatever moment it arrives.
ALTER TABLE dex_pools ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE price_feeds ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE transaction_labels ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE mev_opportunities ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE mev_decisions ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE mev_counterfactuals ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE mev_decision_lineage ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE outcomes ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE bandit_events_proto ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE realtime_proto ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE control_acks ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE dead_letters ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;
ALTER TABLE control_audit ADD CONSTRAINT IF NOT EXISTS fence CHECK joinGet('{database}.sink_fences', 'fenced', ingest_by) = 0;

-- Which making of a topic a record's coordinates belong to; empty where the source does not say.
ALTER TABLE dex_pools ADD COLUMN IF NOT EXISTS source_incarnation LowCardinality(String) AFTER source_topic;
ALTER TABLE realtime_proto ADD COLUMN IF NOT EXISTS source_incarnation LowCardinality(String) AFTER source_topic;
ALTER TABLE control_audit ADD COLUMN IF NOT EXISTS source_incarnation LowCardinality(String) AFTER source_topic;
