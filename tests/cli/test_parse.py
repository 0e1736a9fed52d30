"""``mevflow parse`` as a user calls it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from mevflow.cli import main

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["parse", *args])
    return int(stop.value.code or 0)


def test_check_prints_the_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["swaps", "exact", "reanchored", "pools"]
    assert (result["swaps"], result["exact"], result["reanchored"]) == (9466, 9466, 0)
    assert all(list(pool) == ["pool", "swaps", "exact", "end_state_exact"] for pool in result["pools"])
    assert [pool["swaps"] for pool in result["pools"]][:3] == [4692, 3813, 930]
    assert all(pool["end_state_exact"] is True for pool in result["pools"])


def test_below_the_bar_is_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day that does not begin where the start state says: nothing fits."""
    late = tmp_path / "late.jsonl"
    with gzip.open(DATA / "whirlpool-transaction-20220406.jsonl.gz") as file:
        lines = [line for line in file if b'"name":"swap"' in line]
    late.write_bytes(b"".join(lines[1_000:1_040]))
    code = run("check", "--json", "--file", str(late), "--start-state", str(DATA / "whirlpool-start-20220406.json"))
    captured = capsys.readouterr()
    assert code == 4
    assert json.loads(captured.out)["exact"] < 40
    assert "the bar is 99%" in captured.err


def test_a_bad_line_is_exit_1_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "whirlpool-transaction-20220406.jsonl"
    bad.write_bytes(b'{"slot":1,"transactions":7}\n')
    shutil.copy(DATA / "whirlpool-start-20220406.json", tmp_path)
    assert run("check", "--file", str(bad)) == 1
    assert f"{bad}:1" in capsys.readouterr().err


def test_a_missing_file_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--file", str(tmp_path / "none.jsonl")) == 2
    assert "none.jsonl" in capsys.readouterr().err
    assert run("start-state", "--end-state", str(tmp_path / "none.json.gz")) == 2


def test_solana_prints_rows_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = json.loads(gzip.decompress((ROOT / "tests/data/solana_instructions.json.gz").read_bytes()))
    for name in ("orca-whirlpool initialize_pool", "meteora-dlmm swap", "vixen raydium swap"):
        (tmp_path / f"{name}.json").write_text(json.dumps(recorded[name]))
    (tmp_path / "broken.json").write_text("{")
    account = {"owner": "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc", "data": "AAAA"}
    (tmp_path / "cut account.json").write_text(json.dumps(account))
    assert run("solana", str(tmp_path), "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["message"], row.get("kind"), row.get("reason")) for row in rows] == [
        ("DeadLetter", None, "malformed"),
        ("DeadLetter", None, "unknown"),
        ("PoolUpdate", "unspecified", None),
        ("DeadLetter", None, "no_outcome"),
        ("PoolUpdate", "create", None),
        ("PoolUpdate", "unspecified", None),
        ("DeadLetter", None, "no_outcome"),
    ]
    assert rows[4]["pool"] == "CGGNcohZdLdeDBdhmQRGmUH1Viv1p4d1ds2aPLoiVWaR"
    assert run("solana", str(tmp_path)) == 0
    assert "no_outcome" in capsys.readouterr().out


def test_solana_without_a_file_is_a_usage_error(tmp_path: Path) -> None:
    assert run("solana", str(tmp_path)) == 2
