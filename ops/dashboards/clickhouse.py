"""What is stored, how fast, and how the engine is."""

from mevflow.ops.dashboards.panels import Board, Row, curves, curves_of, figure, rows_of

_T = 'topology=~"$topology"'
_LIVE = "$__timeFilter(timestamp) AND run_id = '' AND match(topology, '^(${topology:regex})$')"

BOARD = Board(
    "mevflow-clickhouse",
    "mevflow / ClickHouse",
    "Inserts of the sinks, parts and sizes of the tables, requests of the embedded server.",
    (
        Row(
            "Rate, errors, duration",
            (
                figure(
                    "Rows stored",
                    "Rows a second, all sinks",
                    "ops",
                    f"sum(rate(mevflow_clickhouse_insert_rows_total{{{_T}}}[$__rate_interval]))",
                ),
                figure(
                    "Retries",
                    "INSERTs that had to be sent again",
                    "ops",
                    f"sum(rate(mevflow_clickhouse_insert_retries_total{{{_T}}}[$__rate_interval]))",
                ),
                figure(
                    "INSERT P99",
                    "Attempts included",
                    "s",
                    f"histogram_quantile(0.99, sum by (le) (rate(mevflow_clickhouse_insert_seconds_bucket{{{_T}}}[$__rate_interval])))",
                ),
                figure(
                    "Most parts",
                    "In one partition of a table; 300 is too many",
                    "none",
                    "max(mevflow_clickhouse_parts)",
                ),
            ),
        ),
        Row(
            "Inserts",
            (
                curves(
                    "Rows by table",
                    "Rows a second",
                    "ops",
                    (
                        f"sum by (table) (rate(mevflow_clickhouse_insert_rows_total{{{_T}}}[$__rate_interval]))",
                        "{{table}}",
                    ),
                ),
                curves(
                    "Waiting blocks",
                    "Not stored yet",
                    "none",
                    (
                        f"sum by (topology, stage) (mevflow_clickhouse_insert_queue_blocks{{{_T}}})",
                        "{{topology}} {{stage}}",
                    ),
                ),
                curves(
                    "Stream held up",
                    "Share of time that a stage waits for a writer",
                    "percentunit",
                    (
                        f"sum by (topology, stage) (rate(mevflow_clickhouse_insert_blocked_seconds_total{{{_T}}}[$__rate_interval]))",
                        "{{topology}} {{stage}}",
                    ),
                ),
            ),
        ),
        Row(
            "Tables",
            (
                curves(
                    "Size",
                    "Of active parts",
                    "bytes",
                    ("sum by (database, table) (mevflow_clickhouse_bytes)", "{{database}}.{{table}}"),
                ),
                curves(
                    "Rows",
                    "In active parts, before merges",
                    "none",
                    ("sum by (database, table) (mevflow_clickhouse_rows)", "{{database}}.{{table}}"),
                ),
                curves(
                    "Parts",
                    "Most in one partition",
                    "none",
                    ("max by (database, table) (mevflow_clickhouse_parts)", "{{database}}.{{table}}"),
                ),
            ),
        ),
        Row(
            "Requests of the embedded server",
            (
                curves(
                    "By status",
                    "Requests a second",
                    "ops",
                    (
                        'sum by (code) (rate(mevflow_http_requests_total{job="mevflow-clickhouse"}[$__rate_interval]))',
                        "{{code}}",
                    ),
                ),
                curves(
                    "P99",
                    "To the end of the answer",
                    "s",
                    (
                        'histogram_quantile(0.99, sum by (le) (rate(mevflow_http_request_seconds_bucket{job="mevflow-clickhouse"}[$__rate_interval])))',
                        "P99",
                    ),
                ),
            ),
        ),
        Row(
            "From the tables, by chain time",
            (
                rows_of(
                    "Dead letters",
                    "By reason, stage and topic",
                    f"SELECT reason, stage, topic, count() AS letters, max(timestamp) AS newest "
                    f"FROM dead_letters FINAL WHERE {_LIVE} GROUP BY reason, stage, topic ORDER BY letters DESC LIMIT 50",
                ),
                curves_of(
                    "Swaps by minute",
                    "Stored ones, by chain",
                    "none",
                    "SELECT toStartOfMinute(timestamp) AS time, chain, count() AS swaps "
                    "FROM raw_swaps WHERE $__timeFilter(timestamp) GROUP BY time, chain ORDER BY time",
                ),
            ),
        ),
    ),
    page="analyse",
)
