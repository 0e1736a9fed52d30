"""Detection alone, on one core: events a second merged, screened, sized and emitted; beside Bellman-Ford on a graph.

The market is synthetic: pools over pairs of a power law, Zipf activity, and a share of swaps that leave a gap (see
``market``). ``screened`` leaves the gaps out, so that every event is read, merged, applied and screened, and nothing
is sized. The peer runs networkx's negative-cycle search after each update of the same market's graph, which is how
arbitrage on exchange graphs is usually written.
"""

from __future__ import annotations

import math
import time
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa

from bench.market import Market
from bench.stand import ROOT
from operators.codec import COORDINATES
from operators.detect.settings import DetectSettings
from operators.detect.stage import ArbitrageDetect
from operators.stage import CAUGHT_UP_US, StageContext, Watermark

EVENTS = 500_000
PEER_EVENTS = 20
_HERE = Watermark(CAUGHT_UP_US)


def run(events: int = EVENTS) -> dict[str, Any]:
    """Events a second at 500 and 5,000 pools, without and with gaps, and against networkx."""
    figures: list[dict[str, Any]] = []
    for pools in (500, 5_000):
        quiet, _ = _rate(Market(pools=pools, shock_rate=0.0), events)
        figures.append(_figure(f"{pools:,} pools, screened", quiet, "events/s"))
        busy, rows = _rate(Market(pools=pools), events)
        figures.append(_figure(f"{pools:,} pools, sized and emitted", busy, "events/s", "screened", busy / quiet))
        figures.append(_figure(f"{pools:,} pools, opportunity rows", rows, "an event"))
        peer = _bellman_ford(Market(pools=pools))
        figures.append(_figure(f"{pools:,} pools, networkx Bellman-Ford", peer, "events/s"))
        figures.append(_figure(f"{pools:,} pools, against networkx", quiet / peer, "x", "networkx", quiet / peer))
    return {"bench": "detect", "figures": figures}


def _rate(market: Market, events: int) -> tuple[float, float]:
    """(events a second, opportunity rows an event); the first batch warms up."""
    context = StageContext("bench", "found", outputs=frozenset({"opportunities", "errors"}))
    settings = DetectSettings(registry=str(ROOT / "examples/pools.yaml"))
    stage = ArbitrageDetect(settings, context)
    stage.process("updates", located(market.updates()))
    for port in ("updates", "swaps"):
        list(stage.on_watermark(port, _HERE))
    batches = [located(batch) for batch in market.swaps(events)]
    rows, began = 0, 0.0
    for number, batch in enumerate(batches):
        if number == 1:
            rows, began = 0, time.perf_counter()
        stage.process("swaps", batch)
        rows += sum(out.num_rows for port, out in stage.on_watermark("swaps", _HERE) if port == "opportunities")
    done = events - batches[0].num_rows
    return done / (time.perf_counter() - began), rows / done


def located(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with coordinates, as a source would give it."""
    rows = batch.num_rows
    topic = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["dex-swaps-proto"]))
    coordinates = [topic, pa.array(np.zeros(rows, np.int32)), pa.array(np.arange(rows))]
    schema = pa.schema([*batch.schema, *COORDINATES], metadata=batch.schema.metadata)
    return pa.RecordBatch.from_arrays([*batch.columns, *coordinates], schema=schema)


def _bellman_ford(market: Market) -> float:
    """Events a second of the peer: set the pool's edge both ways, look for a negative cycle."""
    updates = market.updates()
    graph = nx.MultiDiGraph()
    columns = [updates.column(name).to_pylist() for name in ("pool", "mint_a", "mint_b", "sqrt_price_x64")]
    ends = {}
    for pool, a, b, price in zip(*columns, strict=True):
        ends[pool] = (a, b)
        _set_edges(graph, pool, a, b, price, market.fee_pips)
    swaps = next(iter(market.swaps(PEER_EVENTS)))
    began = time.perf_counter()
    for pool, price in zip(*(swaps.column(name).to_pylist() for name in ("pool", "sqrt_price_x64")), strict=True):
        _set_edges(graph, pool, *ends[pool], price, market.fee_pips)
        nx.negative_edge_cycle(graph)
    return PEER_EVENTS / (time.perf_counter() - began)


def _set_edges(graph: nx.MultiDiGraph, pool: bytes, a: bytes, b: bytes, price: bytes, fee_pips: int) -> None:
    log_price = 2 * math.log(int.from_bytes(price, "little") / 2**64)
    cost = -math.log1p(-fee_pips / 1e6)
    graph.add_edge(a, b, key=pool, weight=cost - log_price)
    graph.add_edge(b, a, key=pool, weight=cost + log_price)


def _figure(
    name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}
