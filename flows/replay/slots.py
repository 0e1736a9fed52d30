"""A window of slots as a window of chain time: a replay reads by time and keeps by slot."""

from __future__ import annotations

import time

from mevflow.flows.runtime.window import SlotWindow
from mevflow.flows.spec.resolve import ResolvedTopology
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.operators.stage import StageContext

_STALLED_S = 30.0


def times_of(topology: ResolvedTopology, window: SlotWindow) -> tuple[int, int]:
    """The chain times (us, exclusive end) of the window's rows, over the topics whose messages have slots.

    Reads these topics once. Raises UsageError when no row lies in the window, UnreachableError.
    """
    sources = {node.name: node for node in topology.of_use("kafka.source")}
    first, last = 1 << 62, -1
    for decode in topology.of_use("decode"):
        settings = decode.settings
        assert isinstance(settings, DecodeSettings)
        if not {"chain", "slot"} <= set(Decode.output_schemas(settings)["out"].names):
            continue
        for source in {wire.source for wire in decode.wires} & sources.keys():
            low, high = _scan(sources[source].settings, settings, window)
            first, last = min(first, low), max(last, high)
    if last < 0:
        raise UsageError(f"no row of chain {window.chain} lies in these slots", key="--from-slot")
    return first, last + 1


def _scan(settings: object, decode: DecodeSettings, window: SlotWindow) -> tuple[int, int]:
    """Least and greatest time of the rows of one topic that lie in the window."""
    from mevflow.kafka.topics import listing
    from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

    assert isinstance(settings, KafkaSourceSettings)
    ends = listing(settings.bootstrap, [settings.topic])[0].ends
    bounded = settings.model_copy(
        update={
            "start_offsets": {p: begin for p, (begin, _) in ends.items()},
            "stop_offsets": {p: end for p, (_, end) in ends.items()},
            "partitions": None,
            "group": "mevflow-slots",
        }
    )
    source = KafkaSource(bounded, StageContext("replay", "slots"))
    stage = Decode(decode, StageContext("replay", "decode"))
    first, last = 1 << 62, -1
    try:
        source.open(None)
        deadline = time.monotonic() + _STALLED_S
        while True:
            poll = source.poll()
            for _, raw in poll.batches:
                deadline = time.monotonic() + _STALLED_S
                for port, batch in stage.process("in", raw):
                    if port != "out":
                        continue
                    inside = window.holds(batch.column("slot").to_numpy())
                    inside &= batch.column("chain").to_numpy() == window.chain
                    times_us = batch.column("timestamp_us").to_numpy()[inside]
                    if len(times_us):
                        first, last = min(first, int(times_us.min())), max(last, int(times_us.max()))
            if poll.ended:
                return first, last
            if time.monotonic() > deadline:
                raise UnreachableError("the broker stopped answering", topic=settings.topic)
            time.sleep(0.001)
    finally:
        source.close()
