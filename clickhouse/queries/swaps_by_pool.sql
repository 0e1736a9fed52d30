-- Swaps by pool, with the pool's symbols: each swap once, whichever runs and topologies stored it.
-- default limit 20
SELECT
    s.chain AS chain,
    s.pool AS pool,
    any(p.symbol_a || '/' || p.symbol_b) AS pair,
    any(s.venue) AS venue,
    count() AS swaps,
    min(s.timestamp) AS first_seen,
    max(s.timestamp) AS last_seen
FROM raw_swaps AS s
LEFT JOIN pools AS p ON p.chain = s.chain AND p.pool = s.pool
GROUP BY chain, pool
ORDER BY swaps DESC, pool
LIMIT {limit:UInt32}
