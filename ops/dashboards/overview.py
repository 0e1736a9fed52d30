"""Is it well, and does it keep its word."""

from mevflow.ops.dashboards.panels import Board, Row, curves, figure

_T = 'topology=~"$topology"'
_FAILED = 'code=~"INTERNAL|UNAVAILABLE|UNKNOWN|DEADLINE_EXCEEDED"'

BOARD = Board(
    "mevflow-overview",
    "mevflow / Overview and SLO",
    "Rates, errors and times of everything, alerts, and how much of the error budget is left.",
    (
        Row(
            "Rate, errors, duration",
            (
                figure(
                    "Events",
                    "Rows that sources give",
                    "ops",
                    f'sum(rate(mevflow_events_total{{outcome="out",{_T}}}[$__rate_interval]))',
                ),
                figure(
                    "Dead letters",
                    "Rows that could not be processed",
                    "ops",
                    f"sum(rate(mevflow_dead_letters_total{{{_T}}}[$__rate_interval])) or vector(0)",
                ),
                figure(
                    "Call P99",
                    "99 of 100 control calls are faster",
                    "s",
                    "histogram_quantile(0.99, sum by (le) (rate(mevflow_call_seconds_bucket[$__rate_interval])))",
                ),
                figure(
                    "Processes down",
                    "Targets that cannot be scraped",
                    "none",
                    'count(up{job=~"mevflow-.*"} == 0) or vector(0)',
                ),
                figure("Kill switch", "1 while it is engaged", "none", f"max(mevflow_kill_engaged{{{_T}}})"),
            ),
        ),
        Row(
            "Objectives: 99.9 % of calls answered, 99.9 % within 250 ms, rows no older than 30 s",
            (
                curves(
                    "Availability",
                    "Calls that the service did not fail",
                    "percentunit",
                    (
                        f"1 - sum(rate(mevflow_calls_total{{{_FAILED}}}[$__rate_interval])) / sum(rate(mevflow_calls_total[$__rate_interval])) or vector(1)",
                        "answered",
                    ),
                ),
                curves(
                    "Error budget left",
                    "Of 0.1 % of the calls of 30 days",
                    "percentunit",
                    (
                        f"1 - (sum(increase(mevflow_calls_total{{{_FAILED}}}[30d])) or vector(0)) / (0.001 * sum(increase(mevflow_calls_total[30d])))",
                        "left",
                    ),
                ),
                curves(
                    "Freshness",
                    "Age of the newest row of each source",
                    "s",
                    (
                        f"time() - max by (topology, stage) (mevflow_last_event_timestamp_seconds{{{_T}}})",
                        "{{topology}} {{stage}}",
                    ),
                ),
            ),
        ),
        Row(
            "Processes",
            (
                curves(
                    "Memory",
                    "Resident memory",
                    "bytes",
                    ("mevflow_process_resident_memory_bytes", "{{job}} {{topology}} {{shard}}"),
                ),
                curves(
                    "Processor",
                    "Cores in use",
                    "none",
                    ("rate(mevflow_process_cpu_seconds_total[$__rate_interval])", "{{job}} {{topology}} {{shard}}"),
                ),
                curves(
                    "Restarts",
                    "Starts of shards after a death",
                    "none",
                    (
                        f"sum by (topology, shard) (increase(mevflow_restarts_total{{{_T}}}[$__rate_interval]))",
                        "{{topology}} {{shard}}",
                    ),
                ),
                curves("Disk", "Room under the state", "bytes", ("mevflow_disk_free_bytes", "{{topology}} free")),
            ),
        ),
        Row(
            "Alerts",
            (
                curves(
                    "Firing alerts",
                    "By name, as docs/runbook.md has them",
                    "none",
                    ('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),
                ),
            ),
        ),
    ),
)
