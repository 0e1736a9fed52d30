"""Kafka -> decode -> detect -> ClickHouse, beside a raw consume loop, the same job on Faust and on plain Bytewax.

Everything reads the same topic (8 partitions, synthetic swaps of about 310 bytes; about one opportunity row in a
hundred swaps) with the broker on the same machine. Each contender runs in a process of its own, one after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from mevflow.bench.market import SyntheticMarket
from mevflow.bench.stand import ROOT, Stand, stand
from mevflow.processes.environment import environment

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
        with: {{registry: {root}/examples/pools.yaml, max_hops: 3, min_profit_usd: 0.05}}
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

#: A peer that has told nothing by then is ended.
_PEER_S = 180.0
#: Name -> (what it adds to the source and decode, nodes with an errors port).
VARIANTS = {
    "decode": (DISCARD, ["decoded"]),
    "detect": (UPDATES + DETECT_END, ["decoded", "pools", "found"]),
    "decide": (UPDATES + DECIDE, ["decoded", "pools", "found", "decided"]),
    "archive": (ARCHIVE, ["decoded"]),
    "everything": (UPDATES + DECIDE + ARCHIVE, ["decoded", "pools", "found", "decided"]),
}


def run(messages: int = 2_000_000) -> dict[str, Any]:
    """Fill a topic, run every contender, give messages a second and ratios."""
    with stand() as place:
        fill(place, messages)
        bounds = _bounds(place)
        raw = _peer("mevflow.bench.kafka_loop", place, messages)
        figures = [_figure("raw consume()+value() loop", raw, None, None)]
        rates: dict[str, float] = {}
        for name in VARIANTS:
            _topology(place, f"warm-{name}", name, bounds, limit=20_000)
            rates[name] = _topology(place, name, name, bounds, figures=figures, raw=raw)
        for peer in ("faust", "bytewax"):
            try:
                rate = _peer(f"mevflow.bench.peers.{peer}_peer", place, PEER_MESSAGES)
            except RuntimeError as error:  # ours stand without it
                print(f"no figure of {peer}: {error}", file=sys.stderr)
                continue
            figures.append(_figure(f"the same job on {peer}", rate, None, None))
            figures.append(
                _figure(f"detect against {peer}", rates["detect"] / rate, f"the same job on {peer}", rate, "x")
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


def _bounds(place: Stand) -> dict[str, dict[int, tuple[int, int]]]:
    from mevflow.kafka.topics import offsets_for_times

    return {topic: offsets_for_times(place.bootstrap, topic, None, None) for topic in (TOPIC, "pool-updates-proto")}


def _topology(
    place: Stand,
    name: str,
    variant: str,
    bounds: dict[str, dict[int, tuple[int, int]]],
    limit: int | None = None,
    figures: list[dict[str, Any]] | None = None,
    raw: float = 0.0,
) -> float:
    """Run one variant; messages a second from its first row to its end. Adds busy seconds by node."""
    swaps, updates = bounds[TOPIC], bounds["pool-updates-proto"]
    stop = {p: b if limit is None else min(b, a + limit // 8) for p, (a, b) in swaps.items()}
    body, errors = VARIANTS[variant]
    text = (HEAD + body).format(
        name=name,
        bootstrap=place.bootstrap,
        port=place.clickhouse_port,
        root=ROOT,
        start={p: a for p, (a, _) in swaps.items()},
        stop=stop,
        ustart={p: a for p, (a, _) in updates.items()},
        ustop={p: b for p, (_, b) in updates.items()},
        errors=[f"{node}.errors" for node in errors],
    )
    status = place.run_topology(name, text)
    done = sum(stop.values()) - sum(a for a, _ in swaps.values())
    rate = done / (status["updated_s"] - status["first_row_s"])
    if figures is not None:
        found = status["nodes"].get("found")
        if found is not None:
            rows = status["nodes"]["history"]["rows_in"] if variant == "detect" else 0
            if rows:
                figures.append(_figure("opportunity rows", rows / done, None, None, "a message"))
        figures.append(_figure(f"{variant}: messages", rate, "raw consume()+value() loop", raw))
        for node, counts in status["nodes"].items():
            if counts["busy_s"] > 0.02:
                figures.append(
                    _figure(f"{variant}: {node}, busy", 1e6 * counts["busy_s"] / done, None, None, "us/message")
                )
    return rate


def _peer(module: str, place: Stand, messages: int) -> float:
    """Messages a second of another process. Raises RuntimeError when it gives no figure, or not in time."""
    command = [sys.executable, "-m", module, place.bootstrap, TOPIC, str(messages), str(place.clickhouse_port)]
    running = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        told, complaint = running.communicate(timeout=_PEER_S)
        how = f"ended with code {running.returncode}"
    except subprocess.TimeoutExpired:
        running.kill()
        told, complaint = running.communicate()
        how = f"was ended after {_PEER_S:g} s"
    try:
        outcome = json.loads(told.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"{module} {how} and told none:\n{complaint[-2000:]}") from error
    return float(outcome["messages"] / outcome["seconds"])


def _figure(
    name: str, value: float, against: str | None, base: float | None, unit: str = "messages/s"
) -> dict[str, Any]:
    ratio = None if base is None else value if unit == "x" else value / base
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}
