-- What people read has each row once, whoever wrote it and however often.

-- Each swap once: the records of a topic do not belong to the topologies that store them.
CREATE OR REPLACE VIEW raw_swaps AS
SELECT
    timestamp, chain, slot, tx_index, ix_index, venue, pool, mint_in, mint_out, amount_in,
    amount_out, reserve_a, reserve_b, sqrt_price_x64, sqrt_price_x96, liquidity, tick, fee_pips,
    priority_fee_lamports, tip_lamports, a_to_b, reanchored, topology, run_id, source_topic,
    source_incarnation, source_partition, source_offset,
    signature, signer, ingest_by, ingest_seq
FROM raw_swaps_rows FINAL;

DROP VIEW IF EXISTS mev_stats_1m_fill;

-- Sums by minute, from the rows as they are: nothing to repair, and exact beside any number of writers.
-- Profits are integers of a millionth of a dollar, so that sums are exact in any order; a profit that is no number,
-- or beyond a trillion dollars, counts as an opportunity and adds nothing.
-- A row that reports the end of an episode is no opportunity.
CREATE OR REPLACE VIEW mev_stats_1m AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    chain,
    topology,
    run_id,
    ingest_by,
    toInt64(count()) AS opportunities,
    toInt64(countIf(new_episode)) AS episodes,
    sum(toInt64(if(abs(net_profit_usd) < 1e12, round(net_profit_usd * 1e6), 0))) AS total_profit
FROM mev_opportunities FINAL
WHERE NOT closed
GROUP BY minute, chain, topology, run_id, ingest_by;
