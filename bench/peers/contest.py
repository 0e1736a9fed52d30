"""Flink, Kafka Streams and a plain consumer in Java on the peers' job, beside ours and the raw loop.

All read the same topic in one command, one after the other. A JVM does the job twice: cold, and warm with what it
compiled on the way. The peers look for two pools of a pair that are further apart than their fees; ours also merges by
chain order, sizes in exact integers and quotes again. What makes other rows than the job in Python has no figure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import clickhouse_connect

from mevflow.bench.contender import Told, children_cpu_s, contend
from mevflow.bench.peers import java_build
from mevflow.bench.peers.job import TABLE
from mevflow.bench.pipeline import TOPIC, bounds, figure, fill, peer, run_variant
from mevflow.bench.stand import Stand, stand

#: The name on the command line of ``mevflow.peers.Main`` -> what it is.
ENGINES = {
    "flink-keyed": "Flink keyed by pair",
    "flink-single-task": "Flink in one task",
    "streams-repartitioned": "Kafka Streams repartitioned by pair",
    "streams-one-thread": "Kafka Streams in one thread",
    "consumer-loop": "a consumer loop in Java",
}
#: How far a peer's rows may be from those of the job in Python: partitions are not read in the same turns, and a gap is
#: there or not by which pool was read first.
ROWS_APART = 0.05
_RAW = "raw consume()+value() loop"
_WARM_MESSAGES = 20_000


def run(messages: int = 2_000_000) -> dict[str, Any]:
    """Fill a topic, run ours and every peer; messages a second, ratios, CPU and rows."""
    java_build.require_tools()
    folder = java_build.jars(lambda said: print(said, file=sys.stderr, flush=True))
    with stand() as place:
        fill(place, messages)
        run_variant(place, "first", "detect", bounds(place), limit=_WARM_MESSAGES, legs=3)  # compiles
        loop = peer("mevflow.bench.kafka_loop", place, messages)
        raw = loop.rate
        figures = [figure(_RAW, raw, None, None), _cpu(_RAW, loop)]
        ours = {f"ours, {legs} legs": _ours(place, messages, legs) for legs in (2, 3)}
        for name, told in ours.items():
            figures += [figure(name, told.rate, _RAW, raw), _cpu(name, told)]
        base = ours["ours, 3 legs"]
        python = peer("mevflow.bench.peers.bytewax_peer", place, messages)
        figures += [
            figure("plain Bytewax", python.rate, _RAW, raw),
            _cpu("plain Bytewax", python, ours["ours, 3 legs"]),
        ]
        figures.append(_rows("plain Bytewax", python, None))
        for engine, title in ENGINES.items():
            try:
                cold, warm = in_java(folder, engine, place, messages)
                check_rows(title, (cold, warm), python)
            except RuntimeError as error:  # the others stand without it
                print(f"no figure of {title}: {error}", file=sys.stderr)
                continue
            figures.append(figure(f"{title}, warm", warm.rate, _RAW, raw))
            figures.append(figure(f"{title}, cold", cold.rate, _RAW, raw))
            figures += [_cpu(title, warm, base), _rows(title, warm, python)]
            for name, told in ours.items():
                figures.append(figure(f"{name}, against {title}", told.rate / warm.rate, "the same, warm", 1.0, "x"))
    return {"bench": "peers", "figures": figures}


def in_java(folder: Path, engine: str, place: Stand, messages: int) -> tuple[Told, Told]:
    """The cold and the warm pass of an engine. Raises RuntimeError when it tells of fewer."""
    with clickhouse_connect.get_client(host="127.0.0.1", port=place.clickhouse_port) as client:
        client.command(TABLE)
    command = java_build.command(folder, engine, place.bootstrap, TOPIC, messages, place.clickhouse_port)
    cold, warm = contend(engine, command, passes=2)
    return cold, warm


def check_rows(title: str, passes: tuple[Told, ...], python: Told) -> None:
    """Raises RuntimeError when a pass has not made the rows that the job in Python makes."""
    wanted = python.rows or 0
    for told in passes:
        if told.rows is None or abs(told.rows - wanted) > ROWS_APART * wanted:
            raise RuntimeError(f"{title} made {told.rows} rows, the job in Python {wanted}")


def _ours(place: Stand, messages: int, legs: int) -> Told:
    """Ours, whose CPU is that of the whole run without that of a run that hardly does more than start."""
    limits, spent = bounds(place), [children_cpu_s()]
    run_variant(place, f"warm-{legs}-legs", "detect", limits, limit=_WARM_MESSAGES, legs=legs)
    spent.append(children_cpu_s())
    rate = run_variant(place, f"detect-{legs}-legs", "detect", limits, legs=legs)
    spent.append(children_cpu_s())
    beyond = (spent[2] - spent[1]) - (spent[1] - spent[0])
    return Told(messages, messages / rate, cpu_s=beyond * messages / (messages - _WARM_MESSAGES))


def _cpu(name: str, told: Told, ours: Told | None = None) -> dict[str, Any]:
    """Processor time a message, and how many times that of ours it is."""
    against, base = (None, None) if ours is None else ("ours, 3 legs", _us(ours))
    return figure(f"{name}, CPU", _us(told), against, base, "us/message")


def _us(told: Told) -> float:
    return 1e6 * (told.cpu_s or 0.0) / told.messages


def _rows(name: str, told: Told, python: Told | None) -> dict[str, Any]:
    rows, against = float(told.rows or 0), None if python is None else float(python.rows or 0)
    return figure(f"{name}, rows", rows, None if python is None else "plain Bytewax", against, "rows")
