"""What is found, what is decided, what it earns."""

from mevflow.ops.dashboards.panels import Board, Row, curves, figure

_T = 'topology=~"$topology"'

BOARD = Board(
    "mevflow-bandit",
    "mevflow / Bandit and MEV",
    "Opportunities, estimated profit, decisions by arm, propensities, outcomes and rewards.",
    (
        Row(
            "Rate, errors, worth",
            (
                figure(
                    "Opportunities",
                    "Found a second",
                    "ops",
                    f"sum(rate(mevflow_opportunities_total{{{_T}}}[$__rate_interval]))",
                ),
                figure(
                    "Decisions", "Made a second", "ops", f"sum(rate(mevflow_decisions_total{{{_T}}}[$__rate_interval]))"
                ),
                figure(
                    "Joined",
                    "Outcomes over decisions",
                    "percentunit",
                    f"sum(mevflow_outcomes_total{{{_T}}}) / sum(mevflow_decisions_total{{{_T}}})",
                ),
                figure(
                    "Reward",
                    "USD since the start, losses taken off",
                    "currencyUSD",
                    f'sum(mevflow_reward_usd_total{{kind="gained",{_T}}}) - sum(mevflow_reward_usd_total{{kind="lost",{_T}}})',
                ),
                figure(
                    "Least propensity",
                    "Of a chosen arm; low ones make estimates shake",
                    "percentunit",
                    f"min(mevflow_propensity_minimum{{{_T}}})",
                ),
            ),
        ),
        Row(
            "Opportunities",
            (
                curves(
                    "By chain",
                    "Found a second",
                    "ops",
                    (f"sum by (chain) (rate(mevflow_opportunities_total{{{_T}}}[$__rate_interval]))", "{{chain}}"),
                ),
                curves(
                    "Estimated profit",
                    "USD a second: gross, and net as gained and lost",
                    "currencyUSD",
                    (
                        f"sum by (kind) (rate(mevflow_opportunity_profit_usd_total{{{_T}}}[$__rate_interval]))",
                        "{{kind}}",
                    ),
                ),
            ),
        ),
        Row(
            "Decisions",
            (
                curves(
                    "Share by arm",
                    "One arm alone is docs/runbook.md#banditcollapsed",
                    "percentunit",
                    (
                        f"sum by (policy, arm) (rate(mevflow_decisions_total{{{_T}}}[$__rate_interval])) / ignoring (arm) group_left sum by (policy) (rate(mevflow_decisions_total{{{_T}}}[$__rate_interval]))",
                        "{{policy}} {{arm}}",
                    ),
                ),
                curves(
                    "Outcomes",
                    "By kind",
                    "ops",
                    (f"sum by (kind) (rate(mevflow_outcomes_total{{{_T}}}[$__rate_interval]))", "{{kind}}"),
                ),
                curves(
                    "Reward by arm",
                    "USD gained and lost",
                    "currencyUSD",
                    (f"sum by (arm, kind) (mevflow_reward_usd_total{{{_T}}})", "{{arm}} {{kind}}"),
                ),
            ),
        ),
        Row(
            "Versions",
            (
                curves(
                    "Policy",
                    "Behind the last decision",
                    "none",
                    (f"mevflow_policy_version{{{_T}}}", "{{topology}} {{shard}} {{policy}}"),
                ),
                curves(
                    "Model",
                    "Behind the last decision",
                    "none",
                    (f"mevflow_model_version{{{_T}}}", "{{topology}} {{shard}} {{policy}}"),
                ),
                curves(
                    "Told by control",
                    "Newest version that a shard was told",
                    "none",
                    (f"mevflow_control_version{{{_T}}}", "{{topology}} {{shard}}"),
                ),
            ),
        ),
    ),
    page="bandit",
)
