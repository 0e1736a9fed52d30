-- The best arbitrage episodes by net profit at their best moment.
-- default run_id
-- default limit 10
SELECT
    chain,
    opened_slot AS slot,
    opened_at,
    path,
    amount_in,
    net_profit,
    round(net_profit_usd, 4) AS net_profit_usd,
    open_slots,
    round(open_seconds, 3) AS open_seconds,
    events,
    pools,
    opportunity_id
FROM arbitrage_opportunities
WHERE run_id = {run_id:String}
ORDER BY net_profit_usd DESC, slot, opportunity_id
LIMIT {limit:UInt32}
