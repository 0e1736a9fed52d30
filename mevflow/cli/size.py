"""``mevflow size``: the best input of cycles that a file describes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.operators.errors import CheckFailedError, UsageError


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help='Compare with each cycle\'s "expected"; exit 4 when one gains less.')
@click.option(
    "--tolerance",
    default=1e-6,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Of the profit, relative; a unit is always within it.",
)
@json_option
def command(file: Path, check: bool, tolerance: float, as_json: bool) -> None:
    """Size every cycle of FILE: the input that gains most, exact amounts by leg, and the profit.

    FILE is {"cycles": [{"name", "legs": [{"venue", ...}], "expected": {"amount_in", "profit"}}]}; the states that
    each venue's leg needs are in docs/detection.md, "Sizing". A list in place of a leg is of pools side by side: the
    amount is split over those that pay for their swap ("cost_per_swap" of the cycle, raw units of its first token).
    """
    from mevflow.cli.progress import progress

    cases = _read(file)
    found: list[dict[str, Any]] = []
    with progress(len(cases), "cycles") as show:
        for number, case in enumerate(cases):
            row = {"name": case.name, **_sized(case)}
            if check and case.expected is not None:
                row["verdict"], row["why"] = _verdict(case, row["profit"], tolerance)
            found.append(row)
            show(number + 1)
    verdicts = Counter(row["verdict"] for row in found if "verdict" in row)
    for row in found:
        if row.get("why"):
            note(f"{file}:{row['name']}: {row['why']}")
    if as_json:
        counts = {name: verdicts[name] for name in ("equal", "better", "different")}
        emit_json({"cycles": found, **({"checked": verdicts.total(), **counts} if check else {})})
    else:
        table(
            ["cycle", "input", "output", "profit", *(["check"] if check else [])],
            [
                [row["name"], row["amount_in"], row["amounts"][-1], row["profit"]]
                + ([row.get("verdict", "")] if check else [])
                for row in found
            ],
        )
    if verdicts["different"]:
        raise CheckFailedError(f"{verdicts['different']} of {verdicts.total()} cycles differ", file=str(file))
    if check and not verdicts:
        raise UsageError("no cycle has expected values", file=str(file), hint='"expected": {"profit": "123"}')


@dataclass(frozen=True)
class _Case:
    """``hops`` are the pools side by side of each leg; ``split`` where any leg was given as a list of pools."""

    name: str
    hops: list[list[Any]]
    split: bool
    cost_per_swap: int
    expected: dict[str, int] | None


def _sized(case: _Case) -> dict[str, Any]:
    """The best input, amounts along the legs, and profit; of a split also what each pool takes and gives."""
    from mevflow.operators.sizing.size import size_to_the_unit
    from mevflow.operators.sizing.split import split

    nothing = [0] * (len(case.hops) + 1)
    if not case.split:
        amounts = size_to_the_unit([hop[0] for hop in case.hops]) or nothing
        return {"amount_in": amounts[0], "amounts": amounts, "profit": amounts[-1] - amounts[0]}
    best = split(case.hops, case.cost_per_swap)
    if best is None:
        return {"amount_in": 0, "amounts": nothing, "profit": 0, "single_profit": 0, "swaps": 0, "pools": []}
    return {
        "amount_in": best.amount_in,
        "amounts": [best.amount_in, *map(sum, best.amounts_out)],
        "profit": best.profit,
        "single_profit": best.single_profit,
        "swaps": best.swaps,
        "pools": [
            [{"amount_in": given, "amount_out": got} for given, got in zip(into, out, strict=True)]
            for into, out in zip(best.amounts_in, best.amounts_out, strict=True)
        ],
    }


def _read(file: Path) -> list[_Case]:
    """The cycles. Raises UsageError that names the file and the case."""
    import json

    from mevflow.operators.sizing.legs.read import LegError, leg, whole

    try:
        tree = json.loads(file.read_text())
    except (ValueError, RecursionError) as wrong:
        raise UsageError(f"not JSON: {wrong}", file=str(file)) from wrong
    cycles = tree.get("cycles") if isinstance(tree, dict) else tree
    if not isinstance(cycles, list):
        raise UsageError("no list of cycles", file=str(file), hint='{"cycles": [{"legs": [...]}]}')
    cases: list[_Case] = []
    for number, cycle in enumerate(cycles):
        name = f"cycle {number}"
        try:
            if not isinstance(cycle, dict):
                raise LegError("a cycle is an object")
            name = str(cycle.get("name", name))
            listed = cycle.get("legs")
            if not isinstance(listed, list) or not 1 <= len(listed) <= 16:
                raise LegError("legs is a list of 1 to 16")
            hops = [
                [leg(pool, f"leg {at} pool {side}") for side, pool in enumerate(each)]
                if isinstance(each, list)
                else [leg(each, f"leg {at}")]
                for at, each in enumerate(listed)
            ]
            if not all(1 <= len(hop) <= 64 for hop in hops):
                raise LegError("pools side by side are a list of 1 to 64")
            beside = any(isinstance(each, list) for each in listed)
            cost = whole(cycle.get("cost_per_swap", 0), "cost_per_swap")
            if cost < 0:
                raise LegError("cost_per_swap is not negative")
            expected = cycle.get("expected")
            if expected is not None:
                if not isinstance(expected, dict) or not expected.keys() <= {"amount_in", "profit"}:
                    raise LegError("expected has amount_in, profit, or both")
                expected = {key: whole(value, key) for key, value in expected.items()}
                if beside and "profit" not in expected:
                    raise LegError("of pools side by side expected is a profit")
            cases.append(_Case(name, hops, beside, cost, expected))
        except LegError as wrong:
            raise UsageError(f"{file}:{name}: {wrong}") from wrong
    return cases


def _verdict(case: _Case, profit: int, tolerance: float) -> tuple[str, str]:
    """``equal``, ``better`` or ``different``, and why.

    What counts is what is gained: near the best input the profit hardly changes, so another input that gains as much
    is as good. An expected input alone stands for what it gains. "Better": what was expected is not the best.
    """
    from mevflow.operators.sizing.size import quote

    expected = case.expected or {}
    amount_in = expected.get("amount_in", 0)
    wanted = expected.get("profit")
    if wanted is None:
        theirs = quote([hop[0] for hop in case.hops], amount_in) if amount_in > 0 else [0, 0]
        if theirs is None:
            return "different", f"the legs cannot take the expected input {amount_in}"
        wanted = theirs[-1] - theirs[0]
    slack = max(1, abs(wanted) * tolerance)
    if profit < wanted - slack:
        return "different", f"profit {profit}, expected {wanted}"
    return ("better" if profit > wanted + slack else "equal"), ""
