"""What is read from Kafka and what is written to it, as the shards see it."""

from mevflow.ops.dashboards.panels import Board, Row, curves, figure

_T = 'topology=~"$topology"'

BOARD = Board(
    "mevflow-kafka",
    "mevflow / Kafka",
    "Lag by topic and partition, producers, their queues and failures.",
    (
        Row(
            "Rate, errors, saturation",
            (
                figure("Lag", "Records that wait, all topics", "none", f"sum(mevflow_consumer_lag_records{{{_T}}})"),
                figure(
                    "Caught up", "1 when every shard has read all there is", "none", f"min(mevflow_caught_up{{{_T}}})"
                ),
                figure(
                    "Produced",
                    "Records given to producers",
                    "ops",
                    f"sum(rate(mevflow_kafka_produced_records_total{{{_T}}}[$__rate_interval]))",
                ),
                figure(
                    "Produce errors", "Each ends its shard", "none", f"sum(mevflow_kafka_produce_errors_total{{{_T}}})"
                ),
            ),
        ),
        Row(
            "Reading",
            (
                curves(
                    "Lag by topic",
                    "Records that wait",
                    "none",
                    (f"sum by (topic) (mevflow_consumer_lag_records{{{_T}}})", "{{topic}}"),
                ),
                curves(
                    "Largest lag of a partition",
                    "One that grows alone is a hot key",
                    "none",
                    (f"topk(10, mevflow_consumer_lag_records{{{_T}}})", "{{topic}}[{{partition}}]"),
                ),
                curves(
                    "Event time lag",
                    "Age of the last row while rows wait",
                    "s",
                    (f"max by (topology, stage) (mevflow_event_time_lag_seconds{{{_T}}})", "{{topology}} {{stage}}"),
                ),
            ),
        ),
        Row(
            "Writing",
            (
                curves(
                    "Produced by topic",
                    "Records a second",
                    "ops",
                    (
                        f"sum by (topic) (rate(mevflow_kafka_produced_records_total{{{_T}}}[$__rate_interval]))",
                        "{{topic}}",
                    ),
                ),
                curves(
                    "Producer queue",
                    "Records without the broker's word",
                    "none",
                    (f"sum by (topic) (mevflow_kafka_queue_records{{{_T}}})", "{{topic}}"),
                ),
            ),
        ),
    ),
    page="topics",
)
