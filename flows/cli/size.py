"""``mevflow size``: the best input of cycles that a file describes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from flows.cli.output import emit_json, json_option, note, table
from operators.errors import CheckFailedError, UsageError


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
    each venue's leg needs are in docs/detection.md, "Sizing".
    """
    from flows.cli.progress import progress
    from operators.detect.sizing import size_to_the_unit

    cases = _read(file)
    found: list[dict[str, Any]] = []
    with progress(len(cases), "cycles") as show:
        for number, (name, legs, expected) in enumerate(cases):
            amounts = size_to_the_unit(legs)
            row: dict[str, Any] = {
                "name": name,
                "amount_in": amounts[0] if amounts else 0,
                "amounts": amounts or [0] * (len(legs) + 1),
                "profit": amounts[-1] - amounts[0] if amounts else 0,
            }
            if check and expected is not None:
                row["verdict"], row["why"] = _verdict(legs, row["profit"], expected, tolerance)
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


def _read(file: Path) -> list[tuple[str, list[Any], dict[str, int] | None]]:
    """Name, legs and expected values of each case. Raises UsageError that names the file and the case."""
    import json

    from operators.detect.legs.read import LegError, leg, whole

    try:
        tree = json.loads(file.read_text())
    except (ValueError, RecursionError) as wrong:
        raise UsageError(f"not JSON: {wrong}", file=str(file)) from wrong
    cycles = tree.get("cycles") if isinstance(tree, dict) else tree
    if not isinstance(cycles, list):
        raise UsageError("no list of cycles", file=str(file), hint='{"cycles": [{"legs": [...]}]}')
    cases: list[tuple[str, list[Any], dict[str, int] | None]] = []
    for number, cycle in enumerate(cycles):
        name = f"cycle {number}"
        try:
            if not isinstance(cycle, dict):
                raise LegError("a cycle is an object")
            name = str(cycle.get("name", name))
            listed = cycle.get("legs")
            if not isinstance(listed, list) or not 1 <= len(listed) <= 16:
                raise LegError("legs is a list of 1 to 16")
            legs = [leg(each, f"leg {at}") for at, each in enumerate(listed)]
            expected = cycle.get("expected")
            if expected is not None:
                if not isinstance(expected, dict) or not expected.keys() <= {"amount_in", "profit"}:
                    raise LegError("expected has amount_in, profit, or both")
                expected = {key: whole(value, key) for key, value in expected.items()}
            cases.append((name, legs, expected))
        except LegError as wrong:
            raise UsageError(f"{file}:{name}: {wrong}") from wrong
    return cases


def _verdict(legs: list[Any], profit: int, expected: dict[str, int], tolerance: float) -> tuple[str, str]:
    """``equal``, ``better`` or ``different``, and why.

    What counts is what is gained: near the best input the profit hardly changes, so another input that gains as much
    is as good. An expected input alone stands for what it gains. "Better": what was expected is not the best.
    """
    from operators.detect.sizing import quote

    amount_in = expected.get("amount_in", 0)
    wanted = expected.get("profit")
    if wanted is None:
        theirs = quote(legs, amount_in) if amount_in > 0 else [0, 0]
        if theirs is None:
            return "different", f"the legs cannot take the expected input {amount_in}"
        wanted = theirs[-1] - theirs[0]
    slack = max(1, abs(wanted) * tolerance)
    if profit < wanted - slack:
        return "different", f"profit {profit}, expected {wanted}"
    return ("better" if profit > wanted + slack else "equal"), ""
