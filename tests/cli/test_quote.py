"""``mevflow quote check``: equal, different and skipped cases, and files that are not of the format."""

from __future__ import annotations

import json
from pathlib import Path

import base58
import pytest

from mevflow.cli import main
from mevflow.operators.accounts.snapshot import read_whirlpools
from mevflow.operators.amm.concentrated import whirlpool_quoter
from tests.operators.accounts.test_snapshot import POOL, snapshot
from tests.operators.amm.recorded import SHARED, needs_shared


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["quote", "check", *arguments])
    told = capsys.readouterr()
    return int(stop.value.code or 0), told.out, told.err


def cases(path: Path) -> list[dict[str, object]]:
    state = read_whirlpools(path)[POOL].state
    into = whirlpool_quoter.quote_exact_in(state, True, 10_000)
    out = whirlpool_quoter.quote_exact_out(state, False, 5_000)
    return [
        {"aToB": True, "amountIn": "10000", "amountOut": str(into.amount_out), "fee": str(into.fee_amount)},
        {"aToB": False, "amountIn": str(out.amount_in), "amountOut": "5000", "exactOut": True},
        {"aToB": True, "amountIn": "10", "error": "Invalid tick array sequence"},
    ]


def test_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accounts, quotes = snapshot(tmp_path / "s.csv.gz"), tmp_path / "q.json"
    recorded = cases(accounts)
    quotes.write_text(json.dumps([{"pool": base58.b58encode(POOL).decode(), "quotes": recorded}]))
    code, out, _ = run(capsys, str(accounts), str(quotes), "--json")
    assert (code, json.loads(out)) == (0, {"cases": 3, "equal": 2, "different": 0, "skipped": 1})
    recorded[0]["fee"] = "1"
    other = {"pool": base58.b58encode(b"\x09" * 32).decode(), "quotes": recorded[:1]}
    quotes.write_text(json.dumps([{"pool": base58.b58encode(POOL).decode(), "quotes": recorded}, other]))
    code, out, err = run(capsys, str(accounts), str(quotes), "--json")
    assert (code, json.loads(out)) == (4, {"cases": 4, "equal": 1, "different": 2, "skipped": 1})
    assert "the pool is not in the snapshot" in err
    assert "2 of 4 quotes differ" in err


@pytest.mark.parametrize(
    "content", ["", "{}x", "[{}]", '[{"pool": 1, "quotes": []}]', '[{"pool": "x", "quotes": [{}]}]']
)
def test_files_that_are_not_quotes(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    quotes = tmp_path / "q.json"
    quotes.write_text(content)
    code, _, err = run(capsys, str(snapshot(tmp_path / "s.csv.gz")), str(quotes))
    assert code == 2
    assert "not a file of recorded quotes" in err


@needs_shared
def test_orcas_quotes_over_the_whole_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys,
        str(SHARED / "whirlpool_snapshots" / "whirlpool-snapshot-139535179.csv.gz"),
        str(SHARED / "amm_vectors" / "orca_wasm_quotes_whirlpool-snapshot-139535179.json"),
        "--json",
    )
    assert (code, json.loads(out)) == (0, {"cases": 408, "equal": 340, "different": 0, "skipped": 68})
