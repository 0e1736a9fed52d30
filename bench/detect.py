"""Detection alone, on one core: events a second screened, then sized and emitted; beside Bellman-Ford on a graph.

Three markets under synthetic flow: 5,000 and 50,000 pools of a power law, and the 407 real pools of a snapshot (see
``power_law``, ``snapshot_market``, ``flow``). Figures a market:

- *screened*: the compiled loop over events that have been read into arrays; pools updated, every cycle screened.
- *merged and screened*: the whole stage, from Arrow batches on, over a flow in which nothing pays.
- *sized and emitted*: the whole stage over a flow in which about one cycle in a hundred events pays and is sized,
  quoted exactly and made a row. A hot pair's event may bring thousands of cycles at once, so shocks are rarer.
- *told whole* and *liquidity changed*: pool updates, which the stage takes one by one.

A rate is that of the median batch of 25,000 events: the machine's other work falls on a few of them.

The peers search the same updates' graph for a negative cycle, which is how arbitrage is usually looked for.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.bench.columns import complete
from mevflow.bench.detect_peers import networkx_rate, rustworkx_rate
from mevflow.bench.power_law import PowerLawMarket
from mevflow.bench.snapshot_market import SnapshotMarket
from mevflow.operators.codec import COORDINATES
from mevflow.operators.detect.admit import read
from mevflow.operators.detect.screen.events import PORTS, Events
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.v1.market_pb2 import PoolUpdate

EVENTS = 300_000
PEER_EVENTS, PEER_S = 20, 4.0
#: Shocks an event that make about one survivor, a cycle that is sized, in a hundred events; by pools.
SHOCKS = {407: 0.004, 5_000: 0.0005, 50_000: 0.0003}
#: More pools than any chain trades; only whether they fit, and what it costs to begin with them.
MANY = 500_000
_HERE = Watermark(CAUGHT_UP_US)
_BATCH_ROWS = 25_000
AnyMarket = PowerLawMarket | SnapshotMarket


def run(events: int = EVENTS, shards: int = 1) -> dict[str, Any]:
    """Every figure; with ``shards`` above 1 how the work divides over so many processes instead."""
    if shards > 1:
        return {"bench": "detect", "figures": list(_scaling(events, shards))}
    figures: list[dict[str, Any]] = []
    for pools in SHOCKS:
        figures += _market(pools, events)
    figures += _many()
    return {"bench": "detect", "figures": figures}


def _make(pools: int, survivor_rate: float) -> AnyMarket:
    if pools == 407:
        return SnapshotMarket(survivor_rate=survivor_rate)
    return PowerLawMarket(pools=pools, mints=2 * pools // 5, survivor_rate=survivor_rate)


def _market(pools: int, events: int) -> Iterator[dict[str, Any]]:
    name = f"{pools:,} pools" + (" (a real snapshot)" if pools == 407 else "")
    quiet, busy = _make(pools, 0.0), _make(pools, SHOCKS[pools])
    for legs in (3, 4):
        which, count = f"{name}, {legs} legs", events if legs == 3 else events // 3
        screened, merged, size = _quiet(quiet, count, legs)
        yield _figure(f"{which}, screened", screened, "events/s")
        yield _figure(f"{which}, merged and screened", merged, "events/s", "screened", merged / screened)
        emitted, survivors, rows = _busy(busy, count, legs)
        yield _figure(f"{which}, sized and emitted", emitted, "events/s", "merged and screened", emitted / merged)
        yield _figure(f"{which}, survivors (cycles sized)", survivors, "an event")
        yield _figure(f"{which}, opportunity rows", rows, "an event")
        yield _figure(f"{which}, memory of pools and cycles", size / 1e6, "MB")
        if legs == 3:
            whole, changed = _updates(quiet, legs)
            yield _figure(f"{name}, told whole", whole, "updates/s")
            yield _figure(f"{name}, liquidity changed", changed, "updates/s")
            for peer, rate in (("networkx", networkx_rate), ("rustworkx", rustworkx_rate)):
                theirs = rate(quiet, PEER_EVENTS, PEER_S)
                yield _figure(f"{name}, {peer} Bellman-Ford", theirs, "events/s")
                yield _figure(f"{which}, screened against {peer}", screened / theirs, "x", peer, screened / theirs)


def _many() -> Iterator[dict[str, Any]]:
    """MANY pools in one process: begun with, and swapped through."""
    market, legs, name = _make(MANY, 0.0), 3, f"{MANY:,} pools"
    began = time.perf_counter()
    stage = _stage(market, legs)
    yield _figure(f"{name}, told whole", MANY / (time.perf_counter() - began), "updates/s")
    rates = []
    for batch in map(located, market.swaps(5 * _BATCH_ROWS, _BATCH_ROWS)):
        began = time.perf_counter()
        stage.process("swaps", batch)
        list(stage.on_watermark("swaps", _HERE))
        rates.append(batch.num_rows / (time.perf_counter() - began))
    yield _figure(f"{name}, {legs} legs, merged and screened", median(rates[1:]), "events/s")
    yield _figure(f"{name}, {legs} legs, memory of pools and cycles", stage._market.book.nbytes / 1e6, "MB")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    yield _figure(f"{name}, {legs} legs, memory of the process at its most", grown, "MB")


def _stage(market: AnyMarket, legs: int, shard: int = 0, shards: int = 1) -> ArbitrageDetect:
    """The stage with every pool of the market known."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry.yaml"
        registry.write_text(market.registry_yaml())
        outputs = frozenset({"opportunities", "errors"})
        context = StageContext("bench", "found", shard=shard, shards=shards, outputs=outputs)
        stage = ArbitrageDetect(DetectSettings(registry=str(registry), max_hops=legs), context)
    stage.process("updates", located(market.updates()))
    for port in PORTS:
        list(stage.on_watermark(port, _HERE))
    return stage


def _updates(market: AnyMarket, legs: int) -> tuple[float, float]:
    """Updates a second: pools told whole that the stage did not know, then a position's change in each."""
    told = market.updates()
    began = time.perf_counter()
    stage = _stage(market, legs)
    whole = told.num_rows / (time.perf_counter() - began)
    told = told.filter(pc.greater(pc.binary_length(told.column("sqrt_price_x64")), 0))
    tick, width = told.column("tick").to_numpy(), 20 * told.column("tick_spacing").to_numpy()
    same = {name: told.column(name) for name in ("chain", "ix_index", "timestamp_us", "venue", "pool")}
    columns: dict[str, object] = {
        **same,
        "slot": pc.add(told.column("slot"), 1),
        "kind": [PoolUpdate.KIND_LIQUIDITY] * told.num_rows,
        "tick_lower": (tick - width).astype(np.int32),
        "tick_upper": (tick + width).astype(np.int32),
        "liquidity_delta": [(1_000).to_bytes(16, "little")] * told.num_rows,
    }
    changes = located(complete(columns, told.num_rows, told.schema))
    began = time.perf_counter()
    stage.process("updates", changes)
    refused = sum(out.num_rows for port, out in stage.on_watermark("updates", _HERE) if port == "errors")
    if refused:
        raise RuntimeError(f"{refused} updates were refused")
    return whole, told.num_rows / (time.perf_counter() - began)


def _quiet(market: AnyMarket, events: int, legs: int) -> tuple[float, float, int]:
    """Events a second of the compiled loop, and of the whole stage, batches in turn; bytes of pools and cycles."""
    stage, looped, staged = _stage(market, legs), [], []
    for number, batch in enumerate(map(located, market.swaps(events, _BATCH_ROWS))):
        if number % 2 == 0:
            began = time.perf_counter()
            stage.process("swaps", batch)
            list(stage.on_watermark("swaps", _HERE))
            if number:  # the first batch warms up, and brings a snapshot's stale pools home
                staged.append(batch.num_rows / (time.perf_counter() - began))
            continue
        stage._merge.add("swaps", batch)
        stretch = stage._merge.advance("swaps", _HERE, frozenset(PORTS))
        assert stretch is not None
        ready: Events = read(stretch, stage._market, stage.context)
        began, at, again = time.perf_counter(), 0, False
        while at < len(ready):
            at, *_ = stage._market.swaps(ready, at, len(ready), again)
            again = True
        looped.append(len(ready) / (time.perf_counter() - began))
        stage._market.take_prices()
    return median(looped), median(staged), stage._market.book.nbytes


def _busy(market: AnyMarket, events: int, legs: int, shard: int = 0, shards: int = 1) -> tuple[float, float, float]:
    """(events a second of the whole stage, cycles sized an event, opportunity rows an event)."""
    stage = _stage(market, legs, shard, shards)
    batches = [located(batch) for batch in market.swaps(events, _BATCH_ROWS)]
    rows, sized, rates = 0, 0, []
    gc.collect()
    gc.freeze()  # as a shard does
    for number, batch in enumerate(batches):
        if number == 1:
            rows, sized = 0, stage.survivors
        began = time.perf_counter()
        stage.process("swaps", batch)
        rows += sum(out.num_rows for port, out in stage.on_watermark("swaps", _HERE) if port == "opportunities")
        rates.append(batch.num_rows / (time.perf_counter() - began))
    done = events - batches[0].num_rows
    gc.unfreeze()
    return median(rates[1:]), (stage.survivors - sized) / done, rows / done


def _scaling(events: int, shards: int) -> Iterator[dict[str, Any]]:
    """One process and ``shards`` of them at once, each over all events and its part of the cycles."""
    pools, name = 5_000, "5,000 pools, 3 legs, sized and emitted"
    with multiprocessing.get_context("spawn").Pool(shards) as pool:
        pool.starmap(_shard, [(pools, 2 * _BATCH_ROWS, 0, 1)] * shards)  # compiled code is loaded
        (alone,) = pool.starmap(_shard, [(pools, events, 0, 1)])
        parts = pool.starmap(_shard, [(pools, events, shard, shards) for shard in range(shards)])
    yield _figure(f"{name}, 1 process", alone[0], "events/s")
    slowest = min(rate for rate, _, _ in parts)
    yield _figure(f"{name}, {shards} processes", slowest, "events/s", "1 process", slowest / alone[0])
    whole = sum(rows for _, _, rows in parts)
    yield _figure("rows of all shards", whole, "an event", "rows of 1 process", whole / alone[2])


def _shard(pools: int, events: int, shard: int, shards: int) -> tuple[float, float, float]:
    return _busy(_make(pools, SHOCKS[pools]), events, 3, shard, shards)


def located(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with coordinates, as a source would give it."""
    rows = batch.num_rows
    topic = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["dex-swaps-proto"]))
    coordinates = [topic, pa.array(np.zeros(rows, np.int32)), pa.array(np.arange(rows))]
    schema = pa.schema([*batch.schema, *COORDINATES], metadata=batch.schema.metadata)
    return pa.RecordBatch.from_arrays([*batch.columns, *coordinates], schema=schema)


def _figure(
    name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}
