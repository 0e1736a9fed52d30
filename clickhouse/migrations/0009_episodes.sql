-- Which decisions belong together, what the policy expected, and what it learned.

ALTER TABLE mev_decisions
    ADD COLUMN IF NOT EXISTS episode_id String,
    ADD COLUMN IF NOT EXISTS attempt UInt32,
    ADD COLUMN IF NOT EXISTS activation LowCardinality(String),
    ADD COLUMN IF NOT EXISTS exploration Float64,
    ADD COLUMN IF NOT EXISTS arm_expected Array(Float64),
    ADD COLUMN IF NOT EXISTS utility LowCardinality(String),
    ADD COLUMN IF NOT EXISTS model_id String;

ALTER TABLE outcomes
    ADD COLUMN IF NOT EXISTS episode_id String,
    ADD COLUMN IF NOT EXISTS attempt UInt32,
    ADD COLUMN IF NOT EXISTS activated Bool,
    ADD COLUMN IF NOT EXISTS utility Float64,
    ADD COLUMN IF NOT EXISTS measured Bool,
    ADD COLUMN IF NOT EXISTS revision UInt32;

ALTER TABLE bandit_events_proto
    ADD COLUMN IF NOT EXISTS utility Float64,
    ADD COLUMN IF NOT EXISTS episode_id String,
    ADD COLUMN IF NOT EXISTS detail String;
