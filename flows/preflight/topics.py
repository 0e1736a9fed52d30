"""Topics that are on the broker already: partitions and clean-up must be as they would be made."""

from __future__ import annotations

from mevflow.flows.config import Config
from mevflow.flows.preflight.finding import PreflightFinding
from mevflow.kafka import broker
from mevflow.kafka.topics import TOPICS, TopicSpec, settings_of
from mevflow.operators.errors import MevflowError

_AREA = "Kafka"


def look_at_topics(config: Config) -> list[PreflightFinding]:
    """Findings for the broker and for each topic; one only when none answers."""
    bootstrap = config.kafka.bootstrap
    if not broker.answers(bootstrap, 3.0):
        advice = "mevflow broker start, or MEVFLOW_KAFKA__BOOTSTRAP"
        return [
            PreflightFinding(_AREA, bootstrap, "note", "no broker answers; topics are looked at when one does", advice)
        ]
    try:
        there = settings_of(bootstrap, [spec.name for spec in TOPICS])
    except MevflowError as error:
        return [PreflightFinding(_AREA, bootstrap, "blocked", error.message, error.hint)]
    found = [PreflightFinding(_AREA, bootstrap, "ok", "answers")]
    return found + [_judged(spec, there.get(spec.name)) for spec in TOPICS]


def _judged(spec: TopicSpec, there: tuple[int, dict[str, str]] | None) -> PreflightFinding:
    subject = f"topic {spec.name}"
    policy = spec.configs["cleanup.policy"]
    if there is None:
        return PreflightFinding(_AREA, subject, "create", f"{spec.partitions} partitions, {policy}")
    partitions, settings = there
    if partitions != spec.partitions:
        advice = "keys are placed by partitions: move it to another name with your tools, or use another cluster"
        return PreflightFinding(
            _AREA, subject, "blocked", f"has {partitions} partitions, not {spec.partitions}", advice
        )
    other = settings.get("cleanup.policy", policy)
    if other != policy and spec.compacted:
        advice = f"kafka-configs --alter --topic {spec.name} --add-config cleanup.policy={policy}"
        return PreflightFinding(
            _AREA, subject, "blocked", f"has cleanup.policy={other}, which loses commands in force", advice
        )
    kept_ms = settings.get("retention.ms", "-1")
    if kept_ms != "-1":
        advice = f"records bear chain time: set retention.ms=-1 on {spec.name}, and bound it by retention.bytes"
        return PreflightFinding(
            _AREA, subject, "note", f"has retention.ms={kept_ms}: recorded days are deleted at once", advice
        )
    return PreflightFinding(_AREA, subject, "ok", f"{partitions} partitions, {other}")
