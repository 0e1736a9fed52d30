-- Rows of every table, each counted once however often it was stored, and the bytes that they take on disk.
SELECT c.name AS table, t.engine AS engine, c.number AS rows, formatReadableSize(t.total_bytes) AS size
FROM
(
    SELECT 'bandit_events_proto' AS name, count() AS number FROM bandit_events_proto FINAL
    UNION ALL SELECT 'control_acks' AS name, count() AS number FROM control_acks FINAL
    UNION ALL SELECT 'control_audit' AS name, count() AS number FROM control_audit FINAL
    UNION ALL SELECT 'dead_letters' AS name, count() AS number FROM dead_letters FINAL
    UNION ALL SELECT 'dex_pools' AS name, count() AS number FROM dex_pools FINAL
    UNION ALL SELECT 'mev_counterfactuals' AS name, count() AS number FROM mev_counterfactuals FINAL
    UNION ALL SELECT 'mev_decision_lineage' AS name, count() AS number FROM mev_decision_lineage FINAL
    UNION ALL SELECT 'mev_decisions' AS name, count() AS number FROM mev_decisions FINAL
    UNION ALL SELECT 'mev_opportunities' AS name, count() AS number FROM mev_opportunities FINAL
    UNION ALL SELECT 'model_events' AS name, count() AS number FROM model_events FINAL
    UNION ALL SELECT 'model_scores' AS name, count() AS number FROM model_scores FINAL
    UNION ALL SELECT 'outcomes' AS name, count() AS number FROM outcomes FINAL
    UNION ALL SELECT 'price_feeds' AS name, count() AS number FROM price_feeds FINAL
    UNION ALL SELECT 'raw_swaps' AS name, count() AS number FROM raw_swaps
    UNION ALL SELECT 'realtime_proto' AS name, count() AS number FROM realtime_proto FINAL
    UNION ALL SELECT 'transaction_labels' AS name, count() AS number FROM transaction_labels FINAL
) AS c
LEFT JOIN
(
    SELECT replaceOne(name, 'raw_swaps_rows', 'raw_swaps') AS name, engine, total_bytes
    FROM system.tables
    WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
) AS t ON t.name = c.name
ORDER BY table
