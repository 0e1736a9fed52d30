"""Draw the profit of one recorded opportunity against its input: ``python -m examples.profit_curve``.

The recorded Uniswap day is read up to block 18939405, log 58; two pools are then apart by more than their fees. Every
point of the curve is quoted in the contracts' integers. Writes ``docs/profit_curve.svg`` and prints the figures that
``docs/detection.md`` quotes.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pyarrow.compute as pc
from matplotlib import pyplot

from mevflow.bench.detect import located
from mevflow.operators.detect.admit import read
from mevflow.operators.detect.control import DetectPolicy
from mevflow.operators.detect.market.market import Market
from mevflow.operators.detect.report.cycles import States, in_canonical_form
from mevflow.operators.detect.settings import DetectSettings, load_registry
from mevflow.operators.detect.stage import SWAP, UPDATE
from mevflow.operators.merge import ChainMerge
from mevflow.operators.sizing.size import ConcentratedLeg, Leg, best_input, quote, size
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.recorded import open_recorded

ROOT = Path(__file__).resolve().parents[1]
BLOCK, LOG = 18_939_405, 58
DOLLAR = 10**6


def legs_after(block: int, log: int) -> tuple[list[Leg], float]:
    """The legs of the one cycle that screens above zero after a log of the Uniswap day, and its log rate."""
    registry = load_registry(str(ROOT / "examples/pools.yaml"))
    settings, context = DetectSettings(registry=str(ROOT / "examples/pools.yaml")), StageContext("example", "found")
    market = Market(settings, registry, DetectPolicy(settings, registry, context))
    merge = ChainMerge({"updates": UPDATE, "swaps": SWAP})
    for batch in open_recorded(*sorted((ROOT / "examples/data").glob("uniswap-v3-*.csv.gz"))):
        slot, ix = batch.column("slot"), batch.column("ix_index")
        before = pc.or_(pc.less(slot, block), pc.and_(pc.equal(slot, block), pc.less_equal(ix, log)))
        port = "swaps" if batch.schema.metadata[b"message"].endswith(b"Swap") else "updates"
        merge.add(port, located(batch.filter(before)))
    stretch = merge.advance("swaps", Watermark(CAUGHT_UP_US, final=True), frozenset({"swaps"}))
    assert stretch is not None
    events = read(stretch, market, context)
    for begin, end in events.runs():
        if events.is_update(begin):
            hits, states = market.update(events, begin)
        else:
            done, hits, states = market.swaps(events, begin, end, again=False)
            assert done == end, "few cycles pay on this day"
    found = in_canonical_form(hits, market.book, market.mints.worth["level"])
    last = len(events) - 1
    (hit,) = np.flatnonzero(found.event == last).tolist()
    return States(market.book, states).legs(found, hit, events.at(last).timestamp_us), float(found.rate[hit])


def profit(legs: list[Leg], amount: int) -> float:
    """Dollars gained; nan where a leg cannot take all of it within what is known."""
    amounts = quote(legs, amount)
    return float("nan") if amounts is None else (amounts[-1] - amount) / DOLLAR


def main() -> None:
    """Print the figures, write the picture."""
    legs, rate = legs_after(BLOCK, LOG)
    amounts = size(legs)
    assert amounts is not None
    print(f"log rate {rate:.6f}, proposed {best_input(legs) / DOLLAR:,.2f}, amounts {amounts}")
    for leg in legs:
        assert isinstance(leg, ConcentratedLeg)
        state = leg.state
        print(
            f"tick {state.tick}, liquidity {state.liquidity}, known {state.known_tick_lower}..{state.known_tick_upper}"
        )
    best = (amounts[-1] - amounts[0]) / DOLLAR
    inputs = np.linspace(1, 2.4 * amounts[0], 400).astype(np.int64).tolist()
    gains = [profit(legs, amount) for amount in inputs]
    for share in (0.25, 0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 2.0):
        print(f"{share:5.2f} of the best input gives {profit(legs, int(share * amounts[0])):,.2f}")

    matplotlib.rcParams.update({"svg.hashsalt": "profit", "svg.fonttype": "none", "font.size": 10})
    figure, axes = pyplot.subplots(figsize=(7.2, 3.8), layout="constrained")
    axes.plot([amount / DOLLAR / 1e6 for amount in inputs], gains, color="#1f5fa8", linewidth=1.8)
    axes.axhline(0, color="#555", linewidth=0.8)
    axes.plot(amounts[0] / DOLLAR / 1e6, best, "o", color="#c0392b", markersize=6)
    axes.annotate(
        f"{amounts[0] / DOLLAR:,.0f} in, {best:,.0f} gained",
        (amounts[0] / DOLLAR / 1e6, best),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
    )
    axes.set(
        xlabel="input, million USDC",
        ylabel="profit before gas, USDC",
        ylim=(min(0, np.nanmin(gains)) * 1.05, best * 1.2),
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs/profit_curve.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
