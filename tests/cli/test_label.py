"""``mevflow label`` as a user calls it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mevflow.cli import main
from mevflow.operators.label.arbitrage import Arbitrage
from mevflow.operators.label.candidates import SCHEMA, blocks
from mevflow.operators.label.find import find
from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.slots import OpenSlots
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.swaps import SolanaSwaps

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"
SWAPS = ROOT / "tests" / "data" / "mev_inspect" / "swaps.jsonl.gz"
KEYS = ["kind", "block_or_slot", "tx", "swaps", "start_amount_raw", "end_amount_raw", "profit_raw", "profit_token"]


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["label", *map(str, args)])
    return int(stop.value.code or 0)


def labels(capsys: pytest.CaptureFixture[str], *args: str | Path) -> list[dict[str, Any]]:
    assert run(*args, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(list(row) == KEYS for row in rows)
    return rows


def test_csv_has_a_line_a_label(capsys: pytest.CaptureFixture[str]) -> None:
    found = labels(capsys, SWAPS)
    assert run(SWAPS, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["tx"], row["profit_raw"]) for row in rows] == [(row["tx"], row["profit_raw"]) for row in found]


def test_swaps_of_mev_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    rows = labels(capsys, SWAPS)
    assert [row["kind"] for row in rows].count("arbitrage") == 12
    assert rows[0] == {
        "kind": "arbitrage",
        "block_or_slot": 11930296,
        "tx": "0x4121ce805d33e952b2e6103a5024f70c118432fd0370128d6d7845f9b2987922",
        "swaps": [[6], [8]],
        "start_amount_raw": "3499859860420296704",
        "end_amount_raw": "3547869861992962562",
        "profit_raw": "48010001572665858",
        "profit_token": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    }
    first = next(row for row in rows if row["kind"] == "sandwich")
    assert [part["role"] for part in first["swaps"]] == ["front", "victim", "back"]
    assert first["tx"] == first["swaps"][0]["tx"]
    assert first["swaps"][0]["swap"] == [2]


def test_the_order_of_lines_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(SWAPS) as file:
        lines = list(file)
    plain = tmp_path / "swaps.jsonl"
    plain.write_bytes(b"".join(reversed(lines)))
    assert labels(capsys, plain) == labels(capsys, SWAPS)


def test_the_whirlpool_day(capsys: pytest.CaptureFixture[str]) -> None:
    rows = labels(capsys, DATA / "whirlpool-transaction-20220406.jsonl.gz")
    assert [row["kind"] for row in rows] == ["arbitrage"] * 13
    assert rows[0]["profit_token"] == "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    assert (rows[0]["block_or_slot"], rows[0]["swaps"], rows[0]["profit_raw"]) == (128423468, [0, 1], "4872916")
    assert labels(capsys, DATA / "whirlpool-transaction-20220406.jsonl.gz", "--unseen-pct", "0") == []


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SWAPS) == 0
    captured = capsys.readouterr()
    assert "12 arbitrages, 3 sandwiches" in captured.out
    assert "4 of 376 swaps were undone" in captured.err


def test_a_bad_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "swaps.jsonl"
    bad.write_text('{"trace_address": []}\n')
    assert run(bad, "--json") == 1
    assert f"{bad}:1" in capsys.readouterr().err


def test_what_is_no_file_of_swaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.txt"
    other.write_text("hello\n")
    assert run(other) == 1
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(SWAPS.read_bytes()[:5000])
    assert run(damaged) == 1
    assert run(tmp_path / "absent") == 2
    assert "Traceback" not in capsys.readouterr().err


FAULTS = ROOT / "tests" / "data" / "faults"


@pytest.mark.parametrize("name", ["pool_as_sandwicher", "token_to_itself", "router_1inch_v5_listed", "router_1inch_v6"])
def test_what_only_looks_like_a_label(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert labels(capsys, FAULTS / f"label_{name}.jsonl") == []


def test_a_router_that_the_user_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unlisted, the address at both ends is a sandwicher; named with --shared, it is two users of one router."""
    other = "0x00000000000000000000000000000000000000aa"
    listed = (FAULTS / "label_router_1inch_v6.jsonl").read_text()
    file = tmp_path / "swaps.jsonl"
    file.write_text(listed.replace("0x111111125421ca6dc452d289314280a0f8842a65", other))
    assert [row["kind"] for row in labels(capsys, file)] == ["sandwich"]
    assert labels(capsys, file, "--shared", other) == []
    assert run(file, "--shared", "0xab") == 2


def test_shared_addresses_are_hex_or_base58() -> None:
    payer = "HtitnHRYqZFdsdXt3gYhjqwi2hbKNtdzh1d3a2CmnHdj"
    assert len(LabelSettings(also_shared=(payer,)).shared) == len(LabelSettings().shared) + 1
    with pytest.raises(ValueError, match="base58"):
        LabelSettings(also_shared=("short",))


def test_both_halves_of_a_two_hop_swap_are_labelled() -> None:
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    parser.add(json.loads((FAULTS / "two_hop.json").read_text()), slot=9)
    (swaps,) = parser.flush()
    slots = OpenSlots(SCHEMA, 1)
    slots.add(swaps)
    (block,) = blocks(slots.finish())
    (one,) = find(block, LabelSettings())
    assert (type(one), one.profit) == (Arbitrage, 30)
