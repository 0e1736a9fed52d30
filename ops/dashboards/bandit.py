"""What is found, what is decided, what it earns."""

from mevflow.ops.dashboards.panels import Board, Row, curves, curves_of, figure, rows_of

_T = 'topology=~"$topology"'
#: Live rows of the time that is shown: time is chain time.
_LIVE = "$__timeFilter(timestamp) AND run_id = '' AND match(topology, '^(${topology:regex})$')"

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
            "How it learns",
            (
                curves(
                    "Entropy",
                    "Of what the policy draws from, nats: 0 is one arm alone",
                    "none",
                    (
                        f"sum by (policy) (rate(mevflow_decision_surprise_nats_total{{{_T}}}[$__rate_interval])) / sum by (policy) (rate(mevflow_decisions_total{{{_T}}}[$__rate_interval]))",
                        "{{policy}}",
                    ),
                ),
                curves(
                    "Effective decisions",
                    "Of all decisions, how many an estimate by propensities rests on",
                    "percentunit",
                    (
                        f'sum by (policy) (mevflow_propensity_weight_total{{power="1",{_T}}}) ^ 2 / on (policy) sum by (policy) (mevflow_propensity_weight_total{{power="2",{_T}}}) / on (policy) sum by (policy) (mevflow_decisions_total{{{_T}}})',
                        "{{policy}}",
                    ),
                ),
                curves(
                    "Regret",
                    "USD a second that the best other arm would have brought more, by the landing rule",
                    "currencyUSD",
                    (
                        f'sum by (topology) (rate(mevflow_stage_counts_total{{what="regret_usd",{_T}}}[$__rate_interval]))',
                        "{{topology}}",
                    ),
                ),
                curves(
                    "Reward delay",
                    "Slots from a decision to what became of it",
                    "none",
                    (
                        f'sum by (topology) (rate(mevflow_stage_counts_total{{what="reward_delay_slots",{_T}}}[$__rate_interval])) / sum by (topology) (rate(mevflow_outcomes_total{{kind!="expired",{_T}}}[$__rate_interval]))',
                        "{{topology}}",
                    ),
                ),
                curves(
                    "What went another way",
                    "Forced skips, drift alarms, roll-backs and what was left out, a second",
                    "ops",
                    (
                        f'sum by (what) (rate(mevflow_stage_counts_total{{what!~"cycles_sized|regret_usd|reward_delay_slots",{_T}}}[$__rate_interval]))',
                        "{{what}}",
                    ),
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
        Row(
            "From the tables, by chain time",
            (
                rows_of(
                    "Best opportunities",
                    "Live ones by net profit, each once an episode",
                    f"SELECT timestamp, chain, arrayStringConcat(`legs.venue`, ' > ') AS venues, "
                    f"round(gross_profit_usd, 4) AS gross_usd, round(net_profit_usd, 4) AS net_usd, opportunity_id "
                    f"FROM mev_opportunities FINAL WHERE {_LIVE} AND new_episode ORDER BY net_profit_usd DESC LIMIT 20",
                ),
                curves_of(
                    "Net profit by minute",
                    "USD by the reported opportunities, late ones included",
                    "currencyUSD",
                    f"SELECT toStartOfMinute(timestamp) AS time, chain, sum(net_profit_usd) AS usd "
                    f"FROM mev_opportunities FINAL WHERE {_LIVE} AND NOT closed GROUP BY time, chain ORDER BY time",
                ),
                curves_of(
                    "Reward by arm",
                    "USD by hour, of the last word on each decision",
                    "currencyUSD",
                    f"SELECT toStartOfHour(d.timestamp) AS time, d.arm AS arm, sum(o.reward) AS usd FROM "
                    f"(SELECT * FROM mev_decisions FINAL WHERE {_LIVE}) AS d INNER JOIN (SELECT decision_id, "
                    f"argMax(reward_usd, revision) AS reward FROM outcomes FINAL WHERE run_id = '' "
                    f"GROUP BY decision_id) AS o ON o.decision_id = d.decision_id GROUP BY time, arm ORDER BY time",
                ),
            ),
        ),
    ),
    page="bandit",
)
