-- Decisions by arm: how often each was chosen, how likely that was, what it was expected to bring and what it did bring.
-- default run_id
SELECT
    d.chain AS chain,
    d.arm AS arm,
    count() AS decisions,
    round(avg(d.propensity), 4) AS mean_propensity,
    round(sum(d.expected_profit_usd), 2) AS expected_usd,
    countIf(o.kind = 'landed') AS landed,
    round(sum(o.reward_usd), 2) AS reward_usd
FROM mev_decisions AS d FINAL
LEFT JOIN
(
    SELECT decision_id, argMax(kind, timestamp) AS kind, argMax(reward_usd, timestamp) AS reward_usd
    FROM outcomes FINAL
    WHERE run_id = {run_id:String}
    GROUP BY decision_id
) AS o ON o.decision_id = d.decision_id
WHERE d.run_id = {run_id:String}
GROUP BY chain, arm
ORDER BY chain, decisions DESC, arm
