"""Where a topology spends its time, and what holds it up."""

from mevflow.ops.dashboards.panels import Board, Row, curves, figure

_T = 'topology=~"$topology",shard=~"$shard"'

BOARD = Board(
    "mevflow-dataflow",
    "mevflow / Dataflow",
    "Stages of a topology: rows, busy time, batches, epochs and snapshots.",
    (
        Row(
            "Utilisation, saturation, errors",
            (
                figure(
                    "Rows in",
                    "Rows into all stages",
                    "ops",
                    f'sum(rate(mevflow_events_total{{outcome="in",{_T}}}[$__rate_interval]))',
                ),
                figure(
                    "Busiest stage",
                    "Share of a second that it works",
                    "percentunit",
                    f"max(rate(mevflow_stage_busy_seconds_total{{{_T}}}[$__rate_interval]))",
                ),
                figure("Behind", "Records that wait", "none", f"sum(mevflow_consumer_lag_records{{{_T}}})"),
                figure(
                    "Event time lag",
                    "Age of the last row while rows wait",
                    "s",
                    f"max(mevflow_event_time_lag_seconds{{{_T}}})",
                ),
                figure(
                    "Rejected",
                    "Dead letters",
                    "ops",
                    f'sum(rate(mevflow_events_total{{outcome="rejected",{_T}}}[$__rate_interval]))',
                ),
            ),
        ),
        Row(
            "Stages",
            (
                curves(
                    "Rows by stage",
                    "Rows into each stage",
                    "ops",
                    (
                        f'sum by (stage) (rate(mevflow_events_total{{outcome="in",{_T}}}[$__rate_interval]))',
                        "{{stage}}",
                    ),
                ),
                curves(
                    "Busy share by stage",
                    "1 is a core that does nothing else",
                    "percentunit",
                    (f"sum by (stage) (rate(mevflow_stage_busy_seconds_total{{{_T}}}[$__rate_interval]))", "{{stage}}"),
                ),
                curves(
                    "Call P99 by stage",
                    "99 of 100 calls are faster",
                    "s",
                    (
                        f"histogram_quantile(0.99, sum by (stage, le) (rate(mevflow_stage_seconds_bucket{{{_T}}}[$__rate_interval])))",
                        "{{stage}}",
                    ),
                ),
                curves(
                    "Rows a batch",
                    "Mean",
                    "none",
                    (
                        f"sum by (stage) (rate(mevflow_batch_rows_sum{{{_T}}}[$__rate_interval])) / sum by (stage) (rate(mevflow_batch_rows_count{{{_T}}}[$__rate_interval]))",
                        "{{stage}}",
                    ),
                ),
            ),
        ),
        Row(
            "Epochs",
            (
                curves(
                    "Epoch P90",
                    "From one snapshot to the next",
                    "s",
                    (
                        f"histogram_quantile(0.9, sum by (topology, shard, le) (rate(mevflow_epoch_seconds_bucket{{{_T}}}[$__rate_interval])))",
                        "{{topology}} {{shard}}",
                    ),
                ),
                curves(
                    "Snapshot P90 by stage",
                    "A sink's snapshot includes its flush",
                    "s",
                    (
                        f"histogram_quantile(0.9, sum by (stage, le) (rate(mevflow_snapshot_seconds_bucket{{{_T}}}[$__rate_interval])))",
                        "{{stage}}",
                    ),
                ),
                curves(
                    "Snapshot size",
                    "Of the last one",
                    "bytes",
                    (f"sum by (stage) (mevflow_snapshot_bytes{{{_T}}})", "{{stage}}"),
                ),
            ),
        ),
        Row(
            "Shards",
            (
                curves(
                    "Rows by shard",
                    "Evenly shared work has equal curves",
                    "ops",
                    (
                        f'sum by (topology, shard) (rate(mevflow_events_total{{outcome="in",{_T}}}[$__rate_interval]))',
                        "{{topology}} {{shard}}",
                    ),
                ),
                curves(
                    "Dead letters by reason",
                    "docs/runbook.md#dlqgrowing",
                    "ops",
                    (
                        f"sum by (stage, reason) (rate(mevflow_dead_letters_total{{{_T}}}[$__rate_interval]))",
                        "{{stage}} {{reason}}",
                    ),
                ),
                curves(
                    "Collections",
                    "Of Python's collector, oldest generation",
                    "ops",
                    (
                        f'rate(mevflow_gc_collections_total{{generation="2",{_T}}}[$__rate_interval])',
                        "{{topology}} {{shard}}",
                    ),
                ),
            ),
        ),
    ),
    page="topologies",
    variables={
        "topology": "label_values(mevflow_events_total, topology)",
        "shard": 'label_values(mevflow_events_total{topology=~"$topology"}, shard)',
    },
)
