"""The recorded blocks: what is found against what mev-inspect-py finds. Differences are argued in docs/labels.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mevflow.operators.label.arbitrage import Arbitrage
from mevflow.operators.label.find import find
from mevflow.operators.label.mev_inspect import MevInspectSwaps, read_mev_inspect
from mevflow.operators.label.settings import LabelSettings

DATA = Path(__file__).resolve().parents[2] / "data" / "mev_inspect"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())
#: Undone within its transaction, which went on without it: nothing was gained.
UNDONE = "0x23a4dc7044666d3d4cc2d394a8017fc9d6b87018c20390d35266cea1af783e8a"


@pytest.fixture(scope="module")
def recorded() -> MevInspectSwaps:
    with gzip.open(DATA / "swaps.jsonl.gz") as file:
        return read_mev_inspect(file)


def found_in(swaps: MevInspectSwaps, block: int, **settings: Any) -> list[tuple[Any, ...]]:
    """Arbitrages and sandwiches as comparable tuples."""
    names = {index: "0x" + name.hex() for index, name in swaps.hashes[block].items()}
    out: list[tuple[Any, ...]] = []
    for one in find(swaps.blocks[block], LabelSettings(**settings)):
        amounts = (one.start_amount, one.end_amount, one.profit, "0x" + one.token.hex())
        if isinstance(one, Arbitrage):
            places = [list(trade.place) for trade in one.trades]
            out.append(("arbitrage", names[one.trades[0].tx_index], places, *amounts))
        else:
            parts = [(names[t.tx_index], list(t.place)) for t in (one.front, *one.victims, one.back)]
            out.append(("sandwich", parts, *amounts))
    return out


def expected_in(block: str) -> list[tuple[Any, ...]]:
    """The same of mev-inspect-py's own findings."""
    out: list[tuple[Any, ...]] = []
    for one in EXPECTED[block]["arbitrages"]:
        places = [swap["trace_address"] for swap in one["swaps"]]
        amounts = (one["start_amount"], one["end_amount"], one["profit_amount"], one["profit_token_address"])
        out.append(("arbitrage", one["transaction_hash"], places, *amounts))
    for one in EXPECTED[block]["sandwiches"]:
        front, back = one["frontrun_swap"], one["backrun_swap"]
        parts = [(s["transaction_hash"], s["trace_address"]) for s in (front, *one["sandwiched_swaps"], back)]
        amounts = (front["token_in_amount"], back["token_out_amount"], one["profit_amount"], front["token_in_address"])
        out.append(("sandwich", parts, *amounts))
    return out


def in_order(findings: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(findings, key=repr)


@pytest.mark.parametrize("block", [block for block in EXPECTED if block != "10921990"])
def test_a_block_is_labelled_as_expected(recorded: MevInspectSwaps, block: str) -> None:
    expected = [one for one in expected_in(block) if one[1] != UNDONE]
    assert in_order(found_in(recorded, int(block))) == in_order(expected)


def test_the_one_difference_is_a_route_that_was_undone(recorded: MevInspectSwaps) -> None:
    [one] = [one for block in EXPECTED for one in EXPECTED[block]["arbitrages"] if one["transaction_hash"] == UNDONE]
    assert one["error"] == "Reverted"
    assert (recorded.swaps, recorded.undone) == (376, 4)


def test_the_block_whose_swaps_are_only_in_the_findings() -> None:
    """Block 10921990: the swaps of its arbitrages, shuffled together, give its arbitrages."""
    swaps = [swap for one in EXPECTED["10921990"]["arbitrages"] for swap in one["swaps"]]
    read = read_mev_inspect(json.dumps(swap).encode() for swap in reversed(swaps))
    assert in_order(found_in(read, 10921991)) == in_order(expected_in("10921990"))


def test_what_passes_through_a_helper_contract_needs_the_wider_rule(recorded: MevInspectSwaps) -> None:
    """Curve legs made by another contract: neither mev-inspect-py nor the default rule follows the token there."""
    wide = {one[1][:10] for one in found_in(recorded, 12483198, unseen_pct=10) if one[0] == "arbitrage"}
    narrow = {one[1][:10] for one in found_in(recorded, 12483198) if one[0] == "arbitrage"}
    assert wide - narrow == {"0xd5639f59"}
