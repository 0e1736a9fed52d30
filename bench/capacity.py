"""What a deployment needs at a chain's full rate, and what is its first limit: ``python -m mevflow.bench.capacity``.

Writes ``docs/capacity.md`` from the figures of ``docs/benchmarks.md``. What no bench has measured stands here, with
where it is from; assumptions are marked on the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from mevflow.bench.report import TARGET, figures_of, sections

PAGE = TARGET.parent / "capacity.md"


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure that the plan stands on. ``of``: the bench and figure that measured it, or why it is assumed."""

    what: str
    value: float
    unit: str
    of: str
    measured: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """Swaps a second of a market; ``busiest``: the share of its busiest chain."""

    name: str
    swaps_per_s: float
    busiest: float


#: Orders of magnitude of 2025-26, to be replaced by one's own.
MARKETS = (Rate("Solana", 2_000, 1.0), Rate("all EVM chains", 600, 0.4))
TIMES = (1, 10, 100)
CLIENTS = 100
_GIVEN = {
    "broker": Cell("a broker takes", 100e6, "bytes/s", "three copies on one disk of 300 MB/s", False),
    "row": Cell("a swap on disk, compressed", 98, "bytes", "the recorded days, system.parts of `raw_swaps_rows`", True),
    "disk": Cell("a ClickHouse node keeps", 4e12, "bytes", "one NVMe disk", False),
    "clickhouse": Cell("of a node's time, writing", 0.5, "share", "the rest merges and answers", False),
}
_MEASURED = {
    "detect": ("pipeline", "detect: messages", "Kafka -> decode -> detect -> ClickHouse, one shard"),
    "decide": ("pipeline", "everything: messages", "the same with decisions and every swap stored, one shard"),
    "archive": ("pipeline", "archive: messages", "Kafka -> decode -> ClickHouse, one shard"),
    "insert": ("clickhouse", "swaps, all columns, through the sink", "one ClickHouse node stores"),
    "message": ("websocket", "size of a message", "a message"),
    "hub": ("websocket", f"{CLIENTS} clients, a filter each", f"one hub gives {CLIENTS} clients"),
    "memory": ("detect", "500,000 pools, 3 legs, memory of pools and cycles", "500,000 pools and their cycles"),
    "process": ("detect", "500,000 pools, 3 legs, memory of the process at its most", "a process with 500,000 pools"),
    "many": ("detect", "500,000 pools, 3 legs, merged and screened", "screened, with 500,000 pools"),
    "told": ("detect", "500,000 pools, told whole", "pools told whole, while 500,000 are"),
}


def cells(page: str) -> dict[str, Cell]:
    """Every figure that the plan stands on. Raises KeyError for one that the page of benches does not have."""
    found = {name: figures_of(lines) for name, lines in sections(page).items()}
    measured = {}
    for key, (bench, figure, what) in _MEASURED.items():
        value, unit = found[bench][figure][:2]
        measured[key] = Cell(what, float(value.replace(",", "")), unit, f"{bench}: {figure}", True)
    return measured | _GIVEN


#: What may be the limit -> how many of it a rate needs. A chain's swaps are one order: one shard detects them.
NEEDS: dict[str, Callable[[Rate, float, dict[str, Cell]], float]] = {
    "shard of the busiest chain, detection": lambda rate, swaps, of: swaps * rate.busiest / of["detect"].value,
    "shard of the busiest chain, all of it": lambda rate, swaps, of: swaps * rate.busiest / of["decide"].value,
    "shards that archive": lambda rate, swaps, of: swaps / of["archive"].value,
    "brokers": lambda rate, swaps, of: swaps * of["message"].value / of["broker"].value,
    "ClickHouse nodes, writing": lambda rate, swaps, of: swaps / (of["insert"].value * of["clickhouse"].value),
    "ClickHouse nodes, a year on disk": lambda rate, swaps, of: (
        swaps * 86400 * 365 * of["row"].value / of["disk"].value
    ),
    f"hubs, {CLIENTS} clients that see every swap": lambda rate, swaps, of: swaps * CLIENTS / of["hub"].value,
}
#: These cannot be had twice: beyond 1 the plan ends.
ALONE = ("shard of the busiest chain, detection", "shard of the busiest chain, all of it")


def plan(of: dict[str, Cell]) -> dict[tuple[str, int], dict[str, float]]:
    """By market and how many times its rate: how many of each thing are needed."""
    return {
        (rate.name, times): {name: need(rate, rate.swaps_per_s * times, of) for name, need in NEEDS.items()}
        for rate in MARKETS
        for times in TIMES
    }


def limit(needs: dict[str, float]) -> str:
    """What ends the plan, or what is nearest to its end; else what most is needed of."""
    alone = max(ALONE, key=lambda name: needs[name])
    if needs[alone] > 1:
        return f"{alone}: {needs[alone]:.2g} of the one that there can be"
    most = max((name for name in needs if name not in ALONE), key=lambda name: needs[name])
    return f"{most}: {ceil(needs[most])}" if needs[most] > 1 else f"none; nearest is {most} at {needs[most]:.0%}"


def document(page: str) -> str:
    """The page."""
    of = cells(page)
    planned = plan(of)
    lines = [_HEAD, "| cell | value | from |", "|---|---:|---|"]
    for cell in of.values():
        mark = "measured" if cell.measured else "**assumed**"
        value = f"{cell.value:,.3g}" if cell.value < 1000 else f"{cell.value:,.0f}"
        lines.append(f"| {cell.what} | {value} {cell.unit} | {mark}: {cell.of} |")
    for rate in MARKETS:
        share = f", {rate.busiest:.0%} of them on one chain" if rate.busiest < 1 else ""
        lines += ["", f"## {rate.name}", "", f"{rate.swaps_per_s:,.0f} swaps/s (**assumed**){share}.", ""]
        lines += ["| needed | " + " | ".join(f"x {times}" for times in TIMES) + " |", "|---|" + "---:|" * len(TIMES)]
        needs = {times: planned[rate.name, times] for times in TIMES}
        for name in NEEDS:
            lines.append(f"| {name} | " + " | ".join(f"{needs[times][name]:.2g}" for times in TIMES) + " |")
        lines += ["", "First limit: " + "; ".join(f"x {times}: {limit(needs[times])}" for times in TIMES) + "."]
    begins_s = 500_000 / of["told"].value
    lines += ["", "## Pools", "", f"Memory grows with pools and cycles: 500,000 pools and their cycles take "
              f"{of['memory'].value:,.0f} MB of a process of {of['process'].value:,.0f} MB. To begin with them takes "
              f"{begins_s:,.0f} s. Then {of['many'].value:,.0f} events a second are merged and screened: the rate "
              "falls as fewer pools fit into the processor's caches.", ""]  # fmt: skip
    return "\n".join(lines)


_HEAD = """\
# Capacity

Written by `python -m mevflow.bench.capacity` from [benchmarks.md](benchmarks.md): what a deployment needs at the full
rate of a market, ten and a hundred times that. It is arithmetic, not a test: each thing is taken alone, at the rate at
which a bench saw it, on two cores that the broker and the engine shared with it.

What cannot be divided is the order of one chain: its swaps pass one shard of `arbitrage.detect`. Everything else takes
another process, broker or node.
"""

if __name__ == "__main__":
    PAGE.write_text(document(TARGET.read_text()))
