"""Callers and listeners: the control service, its gateway, the WebSocket hub."""

from mevflow.ops.dashboards.panels import Board, Row, curves, figure

_CONTROL = 'job="mevflow-control"'

BOARD = Board(
    "mevflow-gateway",
    "mevflow / Gateway and streams",
    "Calls, answers of shards, WebSocket clients and what they miss.",
    (
        Row(
            "Rate, errors, duration",
            (
                figure(
                    "Calls", "A second, over gRPC and HTTP", "ops", "sum(rate(mevflow_calls_total[$__rate_interval]))"
                ),
                figure(
                    "Not OK",
                    "Calls refused or failed",
                    "ops",
                    'sum(rate(mevflow_calls_total{code!="OK"}[$__rate_interval])) or vector(0)',
                ),
                figure(
                    "Ack P99",
                    "From a command's issue to a shard's answer",
                    "s",
                    "histogram_quantile(0.99, sum by (le) (rate(mevflow_ack_seconds_bucket[$__rate_interval])))",
                ),
                figure("Clients", "Connected to the hub", "none", "sum(mevflow_websocket_clients)"),
                figure(
                    "Dropped",
                    "Messages that clients did not get",
                    "ops",
                    "sum(rate(mevflow_websocket_dropped_messages_total[$__rate_interval]))",
                ),
            ),
        ),
        Row(
            "Calls",
            (
                curves(
                    "By method and code",
                    "A second",
                    "ops",
                    ("sum by (method, code) (rate(mevflow_calls_total[$__rate_interval]))", "{{method}} {{code}}"),
                ),
                curves(
                    "P99 by method",
                    "99 of 100 are faster",
                    "s",
                    (
                        "histogram_quantile(0.99, sum by (method, le) (rate(mevflow_call_seconds_bucket[$__rate_interval])))",
                        "{{method}}",
                    ),
                ),
                curves(
                    "HTTP by status",
                    "Requests of the gateway",
                    "ops",
                    (f"sum by (code) (rate(mevflow_http_requests_total{{{_CONTROL}}}[$__rate_interval]))", "{{code}}"),
                ),
            ),
        ),
        Row(
            "Commands",
            (
                curves(
                    "Outcomes",
                    "What commands came to",
                    "none",
                    ("sum by (outcome) (mevflow_command_outcomes_total)", "{{outcome}}"),
                ),
                curves(
                    "Answers of shards",
                    "By status",
                    "none",
                    (
                        'sum by (topology, status) (mevflow_command_answers_total{topology=~"$topology"})',
                        "{{topology}} {{status}}",
                    ),
                ),
                curves(
                    "Audit and collector",
                    "Lost records, restarts",
                    "none",
                    ("mevflow_audit_lost_records", "lost audit records"),
                    ("mevflow_collector_restarts_total", "collector restarts"),
                ),
            ),
        ),
        Row(
            "Streams",
            (
                curves(
                    "Messages",
                    "Received from shards, sent to clients",
                    "ops",
                    ("sum(rate(mevflow_websocket_received_messages_total[$__rate_interval]))", "received"),
                    ("sum(rate(mevflow_websocket_sent_messages_total[$__rate_interval]))", "sent"),
                ),
                curves(
                    "Dropped by reason",
                    "Before the hub, too much waiting, too old",
                    "ops",
                    (
                        "sum by (reason) (rate(mevflow_websocket_dropped_messages_total[$__rate_interval]))",
                        "{{reason}}",
                    ),
                    ("sum(rate(mevflow_feed_dropped_messages_total[$__rate_interval]))", "before the hub, by shards"),
                ),
                curves("Waiting", "For slow clients", "bytes", ("sum(mevflow_websocket_queued_bytes)", "queued")),
                curves(
                    "Slow and stalled clients",
                    "Behind now; ended because nothing was taken",
                    "none",
                    ("sum(mevflow_websocket_slow_clients)", "slow"),
                    ("sum(mevflow_websocket_stalled_clients_total)", "ended"),
                ),
            ),
        ),
    ),
    page="streams",
)
