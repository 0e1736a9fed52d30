-- Regret by day: what the best arm of each decision would have brought by the landing rule, less what the choice brought.
-- It is an estimate after the fact: nobody could know the best arm, and the rule is an assumption (docs/learning.md).
-- default run_id
SELECT
    toDate(d.timestamp) AS day,
    d.chain AS chain,
    d.policy AS policy,
    count() AS decisions,
    uniqExact(d.episode_id) AS episodes,
    round(sum(o.reward_usd), 4) AS reward_usd,
    round(sum(greatest(o.reward_usd, c.best_usd)), 4) AS best_usd,
    round(sum(greatest(o.reward_usd, c.best_usd) - o.reward_usd), 4) AS regret_usd
FROM (SELECT * FROM mev_decisions FINAL WHERE run_id = {run_id:String}) AS d
INNER JOIN
(
    SELECT decision_id, topology, argMax(kind, revision) AS kind, argMax(reward_usd, revision) AS reward_usd
    FROM outcomes FINAL WHERE run_id = {run_id:String} GROUP BY decision_id, topology
) AS o ON o.decision_id = d.decision_id AND o.topology = d.topology
INNER JOIN
(
    SELECT decision_id, topology, max(estimate_usd) AS best_usd
    FROM mev_counterfactuals FINAL WHERE run_id = {run_id:String} GROUP BY decision_id, topology
) AS c ON c.decision_id = d.decision_id AND c.topology = d.topology
WHERE o.kind NOT IN ('expired', 'inactive')
GROUP BY day, chain, policy
ORDER BY day, chain, policy
