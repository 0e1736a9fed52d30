-- Decisions by who made them: policy, its version, and the model that a command brought (empty: learned here).
-- default run_id
SELECT
    topology,
    chain,
    policy,
    policy_version,
    model_id,
    min(timestamp) AS first,
    max(timestamp) AS last,
    min(model_version) AS lessons_from,
    max(model_version) AS lessons_to,
    count() AS decisions
FROM mev_decisions FINAL
WHERE run_id = {run_id:String}
GROUP BY topology, chain, policy, policy_version, model_id
ORDER BY topology, chain, first
