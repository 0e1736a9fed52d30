"""Before anything starts: does the broker answer, are the topics there, does ClickHouse answer with its tables?"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from mevflow.flows.spec.resolve import ResolvedTopology
from mevflow.flows.steering.protocol import ACKS, COMMANDS, HEARTBEATS
from mevflow.flows.steering.settings import ControlSettings
from mevflow.kafka.security import reach, refusal
from mevflow.operators.errors import UnreachableError, UsageError

_ANSWER_S = 5.0


def preflight(topology: ResolvedTopology) -> None:
    """Raise UnreachableError (exit 3) or UsageError (exit 2) for the first thing that is missing."""
    topics: dict[str, dict[str, str]] = defaultdict(dict)
    for node in topology.nodes:
        settings: Any = node.settings
        if hasattr(settings, "bootstrap") and getattr(settings, "topic", None):
            topics[settings.bootstrap][settings.topic] = node.name
    for bootstrap, wanted in topics.items():
        _check_topics(bootstrap, wanted)
    for node in topology.of_use("clickhouse.sink"):
        _check_clickhouse(node.settings)


def preflight_control(settings: ControlSettings) -> None:
    """Raise as :func:`preflight` does when a shard could not read its commands."""
    if settings.steers:
        there = broker_topics(settings.bootstrap)
        for topic in (COMMANDS, ACKS, HEARTBEATS):
            if topic not in there:
                raise UsageError(
                    f"the topic is not on the broker at {settings.bootstrap}, so nothing could be stopped",
                    hint="mevflow topics create, or control: {enabled: false} in the topology file",
                    topic=topic,
                )


def broker_topics(bootstrap: str, seconds: float = _ANSWER_S) -> dict[str, int]:
    """Topic -> partitions, of a broker that answers. Raises UnreachableError."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    told: list[Any] = []
    settings: dict[str, Any] = {**reach(bootstrap), "log_level": 0, "error_cb": told.append}
    admin = AdminClient(settings)
    try:
        found = admin.list_topics(timeout=seconds)
    except KafkaException as error:
        admin.poll(0)  # what it was told is called back
        refused = refusal(told)
        raise UnreachableError(
            f"no Kafka broker answers at {bootstrap}{refused}",
            hint="MEVFLOW_KAFKA__PROTOCOL, USERNAME, PASSWORD_FILE, CA, CERTIFICATE: docs/operate-kafka.md"
            if refused
            else "mevflow broker start, or set MEVFLOW_KAFKA__BOOTSTRAP to one that runs",
        ) from error
    return {name: len(topic.partitions) for name, topic in found.topics.items()}


def _check_topics(bootstrap: str, wanted: dict[str, str]) -> None:
    there = broker_topics(bootstrap)
    for topic, node in wanted.items():
        if topic not in there:
            raise UsageError(
                f"the topic is not on the broker at {bootstrap} (node {node})",
                hint="mevflow topics create",
                topic=topic,
            )


def _check_clickhouse(settings: Any) -> None:
    from mevflow.clickhouse.client import connect

    client = connect(settings.host, settings.port, user=settings.user, password=_plain(settings.password))
    sql = "SELECT name FROM system.tables WHERE database = {database:String}"
    found = {row[0] for row in client.query(sql, parameters={"database": settings.database}).result_rows}
    client.close()
    if "mev_opportunities" not in found:
        raise UsageError(
            f"the database {settings.database} at {settings.host}:{settings.port} has no mevflow tables",
            hint="mevflow clickhouse migrate",
        )


def _plain(secret: Any) -> str:
    return str(secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret)
