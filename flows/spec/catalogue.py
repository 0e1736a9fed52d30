"""Everything that a topology may ``use``: the built-in sources, stages and sinks, and those of plug-ins.

A plug-in registers a class under the entry-point group ``mevflow.stages``; the entry point's name is what a
topology file calls it. Classes are imported when they are first asked for.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias

from mevflow.operators.errors import UsageError
from mevflow.operators.stage import Settings, Stage
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source

Part: TypeAlias = type[Source] | type[Stage] | type[Sink]

BUILT_IN = {
    "kafka.source": "mevflow.sources.kafka.source:KafkaSource",
    "evm.source": "mevflow.sources.evm.source:EvmSource",
    "yellowstone.source": "mevflow.sources.solana.source:YellowstoneSource",
    "decode": "mevflow.operators.decode:Decode",
    "realtime.wrap": "mevflow.operators.realtime:RealtimeWrap",
    "arbitrage.detect": "mevflow.operators.detect.stage:ArbitrageDetect",
    "label": "mevflow.operators.label.stage:Label",
    "bandit.decide": "mevflow.operators.decide.stage:BanditDecide",
    "river.model": "mevflow.operators.model.stage:RiverModel",
    "clickhouse.sink": "mevflow.sinks.clickhouse.sink:ClickHouseSink",
    "websocket.sink": "mevflow.sinks.websocket.sink:WebSocketSink",
    "kafka.sink": "mevflow.sinks.kafka.sink:KafkaSink",
    "discard.sink": "mevflow.sinks.discard:DiscardSink",
    "dlq.sink": "mevflow.sinks.kafka.dlq:DeadLetterSink",
}


def names() -> list[str]:
    """Every name that ``use`` may have, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="mevflow.stages"))})


def part(use: str) -> Part:
    """The class behind ``use``. Raises UsageError when there is none, or a plug-in cannot be imported."""
    if use in BUILT_IN:
        module, _, attribute = BUILT_IN[use].partition(":")
        found: Any = getattr(importlib.import_module(module), attribute)
        return found
    for point in entry_points(group="mevflow.stages"):
        if point.name == use:
            try:
                found = point.load()
            except Exception as error:
                raise UsageError(f"the plug-in {point.value} cannot be imported: {error}", key=use) from error
            if not (isinstance(found, type) and issubclass(found, Source | Stage | Sink)):
                raise UsageError(f"the plug-in {point.value} is no Source, Stage or Sink class", key=use)
            return found
    from mevflow.flows.spec.topology import did_you_mean

    raise UsageError(f"nothing is called {use!r}", hint=did_you_mean(use, names()), key=use)


def role(kind: Part) -> str:
    """``source``, ``stage`` or ``sink``."""
    return "source" if issubclass(kind, Source) else "sink" if issubclass(kind, Sink) else "stage"


def settings_of(
    kind: Part, given: dict[str, Any], defaults: dict[str, dict[str, Any]], folder: Path, profile: str = ""
) -> Settings:
    """Settings of a node: its own, over the file's defaults for its group (``kafka`` for ``kafka.source``), over what
    the topology's ``profile`` says.

    A default is used only where the part has a setting of that name. Relative paths are of ``folder``.
    Raises pydantic.ValidationError.
    """
    group = {**defaults.get(kind.use.partition(".")[0], {})}
    if "bootstrap" in kind.settings_type.model_fields:  # whatever it is called, it speaks to Kafka
        group = {**defaults.get("kafka", {}), **group}
    usable = {name: value for name, value in group.items() if name in kind.settings_type.model_fields}
    tuned = kind.settings_type.profiles.get(profile, {})
    return kind.settings_type.model_validate({**tuned, **usable, **given}, context={"folder": str(folder)})
