"""Kafka -> decode -> detect -> ClickHouse, beside a raw consume loop, the same job on Faust and on plain Bytewax.

Everything reads the same topic (8 partitions, synthetic swaps of about 310 bytes; about one opportunity row in a
hundred swaps) with the broker on the same machine. Each contender runs in a process of its own, one after the other.
"""

from __future__ import annotations

import sys
from typing import Any

from mevflow.bench.contender import Told, contend
from mevflow.bench.market import SyntheticMarket
from mevflow.bench.stand import ROOT, Stand, stand

TOPIC = "dex-swaps-proto"
PEER_MESSAGES = 100_000

HEAD = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
  clickhouse: {{port: {port}}}
topologies:
  {name}:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: dex-swaps-proto, start_offsets: {start}, stop_offsets: {stop}}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      rejects: {{use: discard.sink, from: {errors}}}
"""
UPDATES = """\
      updates:
        use: kafka.source
        with: {{topic: pool-updates-proto, start_offsets: {ustart}, stop_offsets: {ustop}}}
      pools: {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
      found:
        use: arbitrage.detect
        from: {{swaps: decoded, updates: pools}}
        with: {{registry: {root}/examples/pools.yaml, max_hops: {legs}, min_profit_usd: 0.05}}
"""
DISCARD = "      end: {{use: discard.sink, from: decoded}}\n"
DETECT_END = "      history: {{use: clickhouse.sink, from: found.opportunities}}\n"
DECIDE = """\
      decided:
        use: bandit.decide
        from: {{in: found.opportunities, swaps: found.swaps}}
        with: {{policy: tip-linucb}}
      history: {{use: clickhouse.sink, from: [found.opportunities, decided.decisions, decided.lineage]}}
"""
ARCHIVE = "      raw: {{use: clickhouse.sink, from: decoded}}\n"

#: Name -> (what it adds to the source and decode, nodes with an errors port).
VARIANTS = {
    "decode": (DISCARD, ["decoded"]),
    "detect": (UPDATES + DETECT_END, ["decoded", "pools", "found"]),
    "decide": (UPDATES + DECIDE, ["decoded", "pools", "found", "decided"]),
    "archive": (ARCHIVE, ["decoded"]),
    "everything": (UPDATES + DECIDE + ARCHIVE, ["decoded", "pools", "found", "decided"]),
}
Bounds = dict[str, dict[int, tuple[int, int]]]


def run(messages: int = 2_000_000) -> dict[str, Any]:
    """Fill a topic, run every contender, give messages a second and ratios."""
    with stand() as place:
        fill(place, messages)
        limits = bounds(place)
        raw = peer("mevflow.bench.kafka_loop", place, messages).rate
        figures = [figure("raw consume()+value() loop", raw, None, None)]
        rates: dict[str, float] = {}
        for name in VARIANTS:
            run_variant(place, f"warm-{name}", name, limits, limit=20_000)
            rates[name] = run_variant(place, name, name, limits, figures=figures, raw=raw)
        for name in ("faust", "bytewax"):
            try:
                rate = peer(f"mevflow.bench.peers.{name}_peer", place, PEER_MESSAGES).rate
            except RuntimeError as error:  # ours stand without it
                print(f"no figure of {name}: {error}", file=sys.stderr)
                continue
            figures.append(figure(f"the same job on {name}", rate, None, None))
            figures.append(
                figure(f"detect against {name}", rates["detect"] / rate, f"the same job on {name}", rate, "x")
            )
    return {"bench": "pipeline", "figures": figures}


def fill(place: Stand, messages: int) -> None:
    """Publish the market's pools and ``messages`` swaps."""
    from mevflow.operators.stage import StageContext
    from mevflow.sinks.kafka.sink import KafkaSink

    market = SyntheticMarket()
    context = StageContext("bench", "fill")
    for topic, batches in (("pool-updates-proto", [market.updates()]), (TOPIC, market.swaps(messages))):
        sink = KafkaSink(
            KafkaSink.settings_type.model_validate({"bootstrap": place.bootstrap, "topic": topic, "key": "pool"}),
            context,
        )
        sink.open(None)
        for batch in batches:
            sink.write(batch)
        sink.snapshot()
        sink.close()


def bounds(place: Stand) -> Bounds:
    """By topic and partition: its first offset, and the one after its last."""
    from mevflow.kafka.topics import offsets_for_times

    return {topic: offsets_for_times(place.bootstrap, topic, None, None) for topic in (TOPIC, "pool-updates-proto")}


def topology_text(
    place: Stand, name: str, variant: str, limits: Bounds, limit: int | None = None, legs: int = 3
) -> str:
    """The topology file of a variant, called ``name``: all messages within ``limits``, or about ``limit`` of them."""
    swaps, updates = limits[TOPIC], limits["pool-updates-proto"]
    body, errors = VARIANTS[variant]
    return (HEAD + body).format(
        name=name,
        bootstrap=place.bootstrap,
        port=place.clickhouse_port,
        root=ROOT,
        legs=legs,
        start={p: a for p, (a, _) in swaps.items()},
        stop={p: b if limit is None else min(b, a + limit // 8) for p, (a, b) in swaps.items()},
        ustart={p: a for p, (a, _) in updates.items()},
        ustop={p: b for p, (_, b) in updates.items()},
        errors=[f"{node}.errors" for node in errors],
    )


def run_variant(
    place: Stand,
    name: str,
    variant: str,
    limits: Bounds,
    limit: int | None = None,
    figures: list[dict[str, Any]] | None = None,
    raw: float = 0.0,
    legs: int = 3,
) -> float:
    """Run one variant as ``name``; messages a second from its first row to its end. Adds busy seconds by node."""
    status = place.run_topology(name, topology_text(place, name, variant, limits, limit, legs))
    done = status["nodes"]["decoded"]["rows_in"]
    rate = done / (status["updated_s"] - status["first_row_s"])
    if figures is not None:
        found = status["nodes"].get("found")
        if found is not None:
            rows = status["nodes"]["history"]["rows_in"] if variant == "detect" else 0
            if rows:
                figures.append(figure("opportunity rows", rows / done, None, None, "a message"))
        figures.append(figure(f"{variant}: messages", rate, "raw consume()+value() loop", raw))
        for node, counts in status["nodes"].items():
            if counts["busy_s"] > 0.02:
                figures.append(
                    figure(f"{variant}: {node}, busy", 1e6 * counts["busy_s"] / done, None, None, "us/message")
                )
    return rate


def peer(module: str, place: Stand, messages: int) -> Told:
    """Run another module of Python. Raises RuntimeError when it gives no figure, or not in time."""
    command = [sys.executable, "-m", module, place.bootstrap, TOPIC, str(messages), str(place.clickhouse_port)]
    return contend(module, command)[0]


def figure(
    name: str, value: float, against: str | None, base: float | None, unit: str = "messages/s"
) -> dict[str, Any]:
    """A figure as ``bench.run`` gives it; ``base`` is what its ratio is against, ``x`` a ratio by itself."""
    ratio = None if base is None else value if unit == "x" else value / base
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}
