-- Arms by hour: the share of decisions that chose each, and the mean chance that it had where it was eligible.
-- default run_id
SELECT
    toStartOfHour(timestamp) AS hour,
    chain,
    name AS arm,
    countIf(arm = name) AS chosen,
    count() AS eligible,
    round(countIf(arm = name) / count(), 4) AS share,
    round(avg(chance), 4) AS mean_chance
FROM
(
    SELECT timestamp, chain, arm, arms, arm_propensities FROM mev_decisions FINAL WHERE run_id = {run_id:String}
)
ARRAY JOIN arms AS name, arm_propensities AS chance
GROUP BY hour, chain, name
ORDER BY hour, chain, name
