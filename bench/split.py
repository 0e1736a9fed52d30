"""Splits over parallel pools beside a generic convex solver (scipy's SLSQP) on the same cycles."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.optimize import minimize

from mevflow.operators.sizing.legs import ReservesLeg
from mevflow.operators.sizing.split import split

Hops = list[list[ReservesLeg]]


def _market(seed: int) -> Hops:
    """Two hops of three constant-product pools each; synthetic."""
    rng = np.random.default_rng(seed)

    def hop(gap: float) -> list[ReservesLeg]:
        depths = rng.uniform(1e12, 1e14, 3)
        return [ReservesLeg((int(x), int(x * gap * rng.uniform(0.997, 1.003))), 500, True) for x in depths]

    return [hop(1.01), hop(1.0)]


def _solver(hops: Hops) -> float:
    """The best profit by SLSQP, in raw units."""
    scale = 1e12
    x = [np.array([leg.reserves[0] for leg in hop]) / scale for hop in hops]
    y = [np.array([leg.reserves[1] for leg in hop]) / scale for hop in hops]

    def out(number: int, parts: Any) -> Any:
        net = parts * (1 - 500e-6)
        return (y[number] * net / (x[number] + net)).sum()

    def gain(parts: Any) -> float:
        # The second hop's variables are weights, so that whatever is tried is feasible.
        bought = out(0, parts[:3])
        return float(out(1, parts[3:] / max(parts[3:].sum(), 1e-9) * bought) - parts[:3].sum())

    found = minimize(
        lambda parts: -1e3 * gain(parts),
        np.full(6, 1e-2),
        method="SLSQP",
        bounds=[(0, None)] * 6,
        options={"maxiter": 300, "ftol": 1e-12},
    )
    return gain(np.maximum(found.x, 0.0)) * scale


def run(cases: int = 60) -> dict[str, Any]:
    """``cases`` random markets through both."""
    markets = [_market(seed) for seed in range(cases)]
    split(markets[0])
    begin = time.perf_counter()
    ours = [split(hops) for hops in markets]
    took = time.perf_counter() - begin
    begin = time.perf_counter()
    theirs = [_solver(hops) for hops in markets]
    solver_took = time.perf_counter() - begin
    profits = [found.profit if found else 0 for found in ours]
    singles = [found.single_profit if found else 0 for found in ours]
    behind = max((best - profit) / best for best, profit in zip(theirs, profits, strict=True) if best > 0)
    figures = [
        ("splits a second (exact, all subsets on the way)", cases / took, "1/s", "SLSQP, floats", solver_took / took),
        ("profit over the single pool's", sum(profits) / max(sum(singles), 1), "x", None, None),
        ("furthest behind the solver", max(behind, 0.0), "share", None, None),
    ]
    keys = ("name", "value", "unit", "against", "ratio")
    return {"bench": "split", "figures": [dict(zip(keys, figure, strict=True)) for figure in figures]}


if __name__ == "__main__":
    print(run())
