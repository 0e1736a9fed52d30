"""The contract of a sink, rule by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from mevflow.operators.stage import Watermark
from mevflow.sinks.sink import Sink
from mevflow.testing.errors import FOREIGN_STATE, check_all, demand, refused

Delivery = Literal["once", "at_least_once", "lossy"]
_SNAPSHOT_SLACK_BYTES = 256


def _close(sink: Sink) -> None:
    sink.close()


@dataclass(frozen=True)
class SinkCase:
    """A sink, batches for it, and how to read at the other side what arrived.

    ``make`` gives a fresh sink of the same settings and context, as a restarted shard would; ``batches`` gives at
    least four, the same each time. ``read`` gives the rows at the other side, as anything that can be counted;
    ``clear`` makes the other side empty again. ``crash`` lets go of a sink without flushing what it holds; by default
    that is ``close`` after the other side was read. ``delivery`` is what the sink promises over a crash: each row
    ``once``, ``at_least_once``, or ``lossy`` for live readers (then ``read`` is not asked).
    """

    name: str
    make: Callable[[], Sink]
    batches: Callable[[], list[pa.RecordBatch]]
    read: Callable[[], Iterable[Hashable]] = tuple
    clear: Callable[[], None] = lambda: None
    crash: Callable[[Sink], None] = _close
    delivery: Delivery = "once"


def _written(case: SinkCase) -> Counter[Hashable]:
    """What the other side holds after an undisturbed run."""
    case.clear()
    sink = case.make()
    sink.open(None)
    for batch in case.batches():
        sink.write(batch)
    sink.snapshot()
    found = Counter(case.read())
    sink.close()
    return found


def it_takes_what_it_accepts(case: SinkCase) -> None:
    """The case's batches fit the declared input and a message that ``accepts`` allows."""
    sink = case.make()
    (schema,) = sink.input_schemas(sink.settings).values()
    batches = case.batches()
    demand(len(batches) >= 4, f"the case has {len(batches)} batches; a crash needs four to fall between")
    for batch in batches:
        message = (batch.schema.metadata or {}).get(b"message", b"").decode()
        demand(sink.accepts(sink.settings, message), f"it does not accept {message or 'an unnamed message'}")
        demand(schema is None or batch.schema.equals(schema), "the case writes what it does not take")
    demand(isinstance(sink.live_only, bool), "live_only is not a bool")


def a_snapshot_makes_everything_durable(case: SinkCase) -> None:
    """All rows written before a snapshot are at the other side when it returns, whatever follows."""
    if case.delivery == "lossy":
        return
    rows = sum(batch.num_rows for batch in case.batches())
    found = _written(case)
    demand(found.total() == rows, f"{found.total()} rows are there after a snapshot, of {rows}")
    demand(Counter(case.read()) == found, "closing the sink changed what is there")


def a_restart_keeps_the_promise(case: SinkCase) -> None:
    """After a crash between two snapshots, and the rows since the last one again, each row is there as promised."""
    if case.delivery == "lossy":
        return
    expected = _written(case)
    batches = case.batches()
    for durable in range(len(batches)):
        case.clear()
        first = case.make()
        first.open(None)
        state: bytes | None = None
        for batch in batches[:durable]:
            first.write(batch)
        if durable:
            state = first.snapshot()
        with suppress(IndexError):
            first.write(batches[durable])
        case.crash(first)
        second = case.make()
        second.open(state)
        for batch in batches[durable:]:
            second.write(batch)
        second.snapshot()
        found = Counter(case.read())
        second.close()
        lost = expected - found
        demand(not lost, f"{lost.total()} rows are lost after a crash behind batch {durable}")
        twice = found - expected
        exact = case.delivery != "once" or not twice
        demand(exact, f"{twice.total()} rows are there twice after a crash behind batch {durable}")


def inputs_stay_as_they_were(case: SinkCase) -> None:
    """Written batches are never changed."""
    case.clear()
    batches = case.batches()
    before = [bytes(batch.serialize()) for batch in batches]
    sink = case.make()
    sink.open(None)
    for batch in batches:
        sink.write(batch)
    sink.snapshot()
    sink.close()
    demand([bytes(batch.serialize()) for batch in batches] == before, "a written batch was changed in place")


def nothing_written_is_nothing_sent(case: SinkCase) -> None:
    """Empty batches, watermarks and snapshots without rows are fine, and bring nothing to the other side."""
    case.clear()
    sink = case.make()
    sink.open(None)
    sink.snapshot()
    sink.write(case.batches()[0].slice(0, 0))
    sink.on_watermark(Watermark(1))
    sink.snapshot()
    found = list(case.read())
    sink.close()
    demand(not found, f"{len(found)} rows came from an empty batch")


def foreign_state_is_refused(case: SinkCase) -> None:
    """Where a snapshot has content, what is no snapshot raises StateError."""
    case.clear()
    sink = case.make()
    sink.open(None)
    for batch in case.batches():
        sink.write(batch)
    state = sink.snapshot()
    sink.close()
    if state:
        other = case.make()
        with refused("a foreign snapshot"):
            other.open(FOREIGN_STATE)


def the_state_stays_small(case: SinkCase) -> None:
    """What was made durable is let go: a snapshot does not grow with what was written."""
    case.clear()
    sink = case.make()
    sink.open(None)
    sizes = []
    for batch in case.batches():
        sink.write(batch)
        sizes.append(len(sink.snapshot()))
    sink.close()
    demand(sizes[-1] <= sizes[0] + _SNAPSHOT_SLACK_BYTES, f"its snapshot grows: {sizes} bytes")


SINK_RULES: dict[str, Callable[[SinkCase], None]] = {
    rule.__name__: rule
    for rule in (
        it_takes_what_it_accepts,
        a_snapshot_makes_everything_durable,
        a_restart_keeps_the_promise,
        inputs_stay_as_they_were,
        nothing_written_is_nothing_sent,
        foreign_state_is_refused,
        the_state_stays_small,
    )
}


def check_sink(case: SinkCase) -> None:
    """Try every rule. Raises ContractBroken that names the first one that the sink breaks."""
    check_all(SINK_RULES, case)
