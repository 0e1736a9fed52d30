"""``mevflow quote``: exact quotes, checked against recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.operators.errors import CheckFailedError, UsageError

#: How many differing cases are told on stderr.
SHOWN = 20


@click.group()
def command() -> None:
    """Quote pools in exact integers."""


@command.command()
@click.argument("snapshot", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("quotes", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check(snapshot: Path, quotes: Path, as_json: bool) -> None:
    """Quote every case of QUOTES on the pools of SNAPSHOT (pubkey,base64 lines) and compare.

    A case with "amountIn" and "amountOut" is exact-in unless it says "exactOut": true, "exactIn": false or
    "amountIsInput": false. It is equal when both the amount and, where recorded, the fee are; it is skipped when
    the file records an error.
    """
    from mevflow.cli.progress import progress
    from mevflow.operators.accounts.snapshot import read_whirlpools
    from mevflow.operators.addresses import decode_base58

    recorded = _read(quotes)
    pools = read_whirlpools(snapshot)
    counts = {"cases": 0, "equal": 0, "different": 0, "skipped": 0}
    told = 0
    with progress(sum(len(entry["quotes"]) for entry in recorded), "quotes") as show:
        for entry in recorded:
            found = pools.get(decode_base58(entry["pool"], 32))
            for case in entry["quotes"]:
                counts["cases"] += 1
                show(counts["cases"])
                if case.get("error"):
                    counts["skipped"] += 1
                    continue
                why = "the pool is not in the snapshot" if found is None else _difference(found.state, case)
                counts["different" if why else "equal"] += 1
                if why and told < SHOWN:
                    told += 1
                    note(f"{entry['pool']} {case}: {why}")
    emit(counts, as_json)
    if counts["different"]:
        raise CheckFailedError(f"{counts['different']} of {counts['cases']} quotes differ", file=str(quotes))


def _read(quotes: Path) -> list[dict[str, Any]]:
    """The cases by pool. Raises UsageError when the file is not of the format."""
    import json

    try:
        recorded = json.loads(quotes.read_text())
        for entry in recorded:
            if not isinstance(entry["pool"], str):
                raise TypeError("a pool is its base58 address")
            for case in entry["quotes"]:
                case["aToB"]
                if not case.get("error"):
                    int(case["amountIn"]), int(case["amountOut"])
    except (ValueError, KeyError, TypeError) as wrong:
        raise UsageError(
            f"not a file of recorded quotes: {type(wrong).__name__} {wrong}",
            hint='[{"pool": ADDRESS, "quotes": [{"aToB": true, "amountIn": "1", "amountOut": "1", "fee": "0"}]}]',
            file=str(quotes),
        ) from wrong
    return list(recorded)


def _difference(state: Any, case: dict[str, Any]) -> str:
    """What our quote says where the recorded one says something else; empty when they agree."""
    from mevflow.operators.amm.concentrated import whirlpool_quoter
    from mevflow.operators.amm.concentrated.curve import AmmError

    exact_in = not case.get("exactOut", False) and case.get("exactIn", True) and case.get("amountIsInput", True)
    try:
        if exact_in:
            quote = whirlpool_quoter.quote_exact_in(state, case["aToB"], int(case["amountIn"]))
            ours, theirs = quote.amount_out, int(case["amountOut"])
        else:
            quote = whirlpool_quoter.quote_exact_out(state, case["aToB"], int(case["amountOut"]))
            ours, theirs = quote.amount_in, int(case["amountIn"])
    except AmmError as refused:
        return f"refused: {refused}"
    fee = int(case.get("fee", quote.fee_amount))
    if ours == theirs and fee == quote.fee_amount:
        return ""
    return f"{ours} with fee {quote.fee_amount}"
