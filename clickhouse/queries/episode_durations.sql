-- How long episodes stayed open, by chain: quantiles in slots and seconds.
-- default run_id
SELECT
    chain,
    count() AS episodes,
    countIf(closed_at IS NULL) AS still_open,
    quantileExact(0.5)(open_slots) AS median_slots,
    quantileExact(0.9)(open_slots) AS p90_slots,
    max(open_slots) AS longest_slots,
    round(quantileExact(0.5)(open_seconds), 2) AS median_seconds,
    round(quantileExact(0.9)(open_seconds), 2) AS p90_seconds
FROM arbitrage_opportunities
WHERE run_id = {run_id:String}
GROUP BY chain
ORDER BY chain
