-- Calibration: by tenths of the expected utility of the chosen arm, what was expected and what came.
-- default run_id
SELECT
    d.chain AS chain,
    floor(d.arm_expected[indexOf(d.arms, d.arm)] * 10) / 10 AS expected_from,
    count() AS decisions,
    round(avg(d.arm_expected[indexOf(d.arms, d.arm)]), 4) AS expected,
    round(avg(o.utility), 4) AS came
FROM (SELECT * FROM mev_decisions FINAL WHERE run_id = {run_id:String} AND notEmpty(arm_expected)) AS d
INNER JOIN
(
    SELECT decision_id, topology, argMax(kind, revision) AS kind, argMax(utility, revision) AS utility
    FROM outcomes FINAL WHERE run_id = {run_id:String} GROUP BY decision_id, topology
) AS o ON o.decision_id = d.decision_id AND o.topology = d.topology
WHERE o.kind NOT IN ('expired', 'inactive') AND d.arm != 'skip'
GROUP BY chain, expected_from
ORDER BY chain, expected_from
