-- Opportunities, episodes and profit by chain, from the sums by minute.
-- default run_id
SELECT
    chain,
    topology,
    sum(opportunities) AS opportunities,
    sum(episodes) AS episodes,
    round(sum(total_profit) / 1e6, 2) AS total_profit_usd,
    min(minute) AS first_minute,
    max(minute) AS last_minute
FROM mev_stats_1m
WHERE run_id = {run_id:String}
GROUP BY chain, topology
ORDER BY chain, topology
