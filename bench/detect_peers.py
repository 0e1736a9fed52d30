"""Arbitrage search as it is usually written: a graph of log prices, Bellman-Ford after every update.

Both peers get the same updates of the same market as our kernel: every pool is an edge each way whose weight is minus
the log of its marginal price net of fee; an update sets its pool's two edges, then the whole graph is searched for a
negative cycle. networkx is plain Python; rustworkx is Rust, with one Python call an edge for its weight, as its
interface has it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import networkx as nx
import pyarrow as pa
import rustworkx as rx

#: An update: the pool and the two weights, along (A to B) and back.
Edges = tuple[bytes, float, float]
BUDGET_S = 15.0


class AnyMarket(Protocol):
    """A market of the bench: whole pools first, then swaps in chain order.

    A market whose first swaps bring pools home that a snapshot left elsewhere says how many in ``settling``: until
    then the graph is full of negative cycles, and a search for one ends at once.
    """

    def updates(self) -> pa.RecordBatch: ...

    def swaps(self, events: int, batch_rows: int = ...) -> Iterator[pa.RecordBatch]: ...


def networkx_rate(market: AnyMarket, events: int, budget_s: float = BUDGET_S) -> float:
    """Events a second of ``networkx.negative_edge_cycle``; it stops early when ``budget_s`` is used up."""
    graph = nx.MultiDiGraph()
    ends = _ends(market)

    def update(pool: bytes, along: float, back: float) -> None:
        a, b = ends[pool]
        graph.add_edge(a, b, key=pool, weight=along)
        graph.add_edge(b, a, key=pool, weight=back)

    return _rate(market, events, budget_s, update, lambda: nx.negative_edge_cycle(graph))


def rustworkx_rate(market: AnyMarket, events: int, budget_s: float = BUDGET_S) -> float:
    """Events a second of ``rustworkx.negative_edge_cycle``; it stops early when ``budget_s`` is used up."""
    graph = rx.PyDiGraph(multigraph=True)
    ends = _ends(market)
    node = {mint: graph.add_node(mint) for mint in sorted({mint for pair in ends.values() for mint in pair})}
    edge: dict[bytes, tuple[int, int]] = {}

    def update(pool: bytes, along: float, back: float) -> None:
        if pool not in edge:
            a, b = (node[mint] for mint in ends[pool])
            edge[pool] = graph.add_edge(a, b, along), graph.add_edge(b, a, back)
        else:
            there, again = edge[pool]
            graph.update_edge_by_index(there, along)
            graph.update_edge_by_index(again, back)

    return _rate(market, events, budget_s, update, lambda: rx.negative_edge_cycle(graph, float))


def _rate(
    market: AnyMarket,
    events: int,
    budget_s: float,
    update: Callable[[bytes, float, float], None],
    search: Callable[[], bool],
) -> float:
    for one in _weights(market.updates()):
        update(*one)
    settling: int = getattr(market, "settling", 0)
    stream = [one for batch in market.swaps(settling + events) for one in _weights(batch)]
    for one in stream[:settling]:
        update(*one)
    began, done = time.perf_counter(), 0
    for one in stream[settling:]:
        update(*one)
        search()
        done += 1
        if time.perf_counter() - began > budget_s:
            break
    return done / (time.perf_counter() - began)


def _ends(market: AnyMarket) -> dict[bytes, tuple[bytes, bytes]]:
    """Each pool's two mints."""
    updates = market.updates()
    columns = (updates.column(name).to_pylist() for name in ("pool", "mint_a", "mint_b"))
    return {pool: (a, b) for pool, a, b in zip(*columns, strict=True)}


def _weights(batch: pa.RecordBatch) -> Iterator[Edges]:
    """Each row's pool and edges; a pool without liquidity or reserves gives infinite weights, which no search takes."""
    names = ("pool", "sqrt_price_x64", "liquidity", "reserve_a", "reserve_b", "fee_pips")
    for pool, root, liquidity, a, b, fee in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
        if root:
            tradable = any(liquidity)
            log_price = 2 * math.log(int.from_bytes(root, "little") / 2**64)
        else:
            tradable = any(a) and any(b)
            log_price = math.log(int.from_bytes(b, "little") / int.from_bytes(a, "little")) if tradable else 0.0
        cost = -math.log1p(-fee / 1e6)
        yield (pool, cost - log_price, cost + log_price) if tradable else (pool, math.inf, math.inf)
