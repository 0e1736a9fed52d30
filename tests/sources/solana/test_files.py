"""Solana transactions from files of what nodes answered: the same rows from every form, a place for each."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import base58
import pytest

from mevflow.operators.accounts import registry
from mevflow.sources.evm.files import is_logs
from mevflow.sources.solana.files import TransactionFiles, is_transactions
from tests.operators.parse.solana.messages import anchor
from tests.operators.parse.solana.transactions import ACCOUNTS, Recorded, clmm_swap, traded

TIME_S = 1_700_000_000
POOL = ACCOUNTS[2]


def answer(slot: int, number: int, **more: Any) -> dict[str, Any]:
    """What ``getTransaction`` gives of a swap of ``number`` raw units, or of a failed one (0)."""
    calls = Recorded().call(registry.WHIRLPOOL, anchor("global", "swap"), traded(POOL, number))
    document = calls.document()
    document["transaction"]["signatures"] = [base58.b58encode(bytes([number]) * 64).decode()]
    if not number:
        document["meta"]["err"] = {"InstructionError": [0, {"Custom": 1}]}
    return {"blockTime": TIME_S + slot, "slot": slot, **document, **more}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def read(*paths: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for batch in TransactionFiles(paths):
        found.setdefault(batch.schema.metadata[b"message"].decode().rpartition(".")[2], []).extend(batch.to_pylist())
    return found


def block(*transactions: dict[str, Any]) -> dict[str, Any]:
    kept = [{name: one[name] for name in ("transaction", "meta")} for one in transactions]
    return {"blockHeight": 3, "blockTime": TIME_S + 7, "blockhash": "x", "previousBlockhash": "y", "transactions": kept}


def test_every_form_gives_the_same_rows(tmp_path: Path) -> None:
    answers = [answer(7, number) for number in (1, 0, 2)]
    files = [
        write(tmp_path / "lines.jsonl", *answers),
        write(tmp_path / "responses.jsonl", *({"jsonrpc": "2.0", "id": 1, "result": one} for one in answers)),
        write(tmp_path / "block.json", {"slot": 7, "result": block(*answers)}),
        write(tmp_path / "told.jsonl", *({**one, "transactionIndex": i} for i, one in enumerate(answers))),
    ]
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(files[0].read_bytes()))
    whole = read(files[0])
    assert list(whole) == ["Swap"]
    rows = whole["Swap"]
    assert [(row["slot"], row["tx_index"], row["timestamp_us"]) for row in rows] == [
        (7, 0, (TIME_S + 7) * 10**6),
        (7, 2, (TIME_S + 7) * 10**6),
    ]
    assert [row["signature"] for row in rows] == [b"\1" * 64, b"\2" * 64]
    assert {row["pool"] for row in rows} == {POOL}
    for path in (*files, tmp_path / "lines.jsonl.gz"):
        assert is_transactions(path), path.name
        assert read(path) == whole, path.name


def test_files_follow_one_another_by_their_slots_and_remember(tmp_path: Path) -> None:
    """The second file's router names no pool: those that the first file told of are in doubt."""
    swap = Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap_v2"), clmm_swap(POOL)).document()
    routed = Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap_router_base_in"), []).document()
    late = write(tmp_path / "a.jsonl", {"slot": 9, "blockTime": TIME_S, **routed})
    early = write(tmp_path / "b.jsonl", {"slot": 8, "blockTime": TIME_S, **swap})
    found = read(late, early)
    assert [row["slot"] for row in found["Swap"]] == [8]
    assert [(row["slot"], row["pool"]) for row in found["PoolUpdate"]] == [(9, POOL)]
    assert [row["reason"] for row in found["DeadLetter"]] == ["no_outcome"]


def test_what_is_not_told_is_refused_with_its_line(tmp_path: Path) -> None:
    deep = '{"slot": 9, "meta": ' + "[" * 100_000 + "]" * 100_000 + "}"
    lines = [
        answer(7, 1),
        "{not json",
        "[]",
        {"jsonrpc": "2.0", "id": 1, "result": None},
        block(answer(8, 1)),
        {**answer(8, 2), "slot": -1},
        answer(8, 2, blockTime=None),
        {"slot": 8, "blockTime": TIME_S, "transactions": 5},
        deep,
        answer(8, 3, transactionIndex=4),
        answer(8, 4, transactionIndex=4),
        answer(8, 5, transactionIndex="5"),
        answer(6, 6),
        answer(8, 7),
        {"slot": 8, "blockTime": TIME_S, "transaction": {}, "meta": 5},
    ]
    found = read(write(tmp_path / "mixed.jsonl", *lines))
    assert [(row["slot"], row["tx_index"]) for row in found["Swap"]] == [(7, 0), (8, 4), (8, 5)]
    letters = {row["offset"]: row["reason"] for row in found["DeadLetter"]}
    assert letters == {
        2: "malformed", 3: "malformed", 4: "no_answer", 5: "no_slot", 6: "no_slot", 7: "no_time", 8: "malformed",
        9: "malformed", 11: "out_of_order", 12: "malformed", 13: "out_of_order", 15: "malformed",
    }  # fmt: skip
    assert {row["topic"] for row in found["DeadLetter"]} == {"mixed.jsonl"}


def test_a_whirlpool_day_and_evm_logs_are_something_else(tmp_path: Path) -> None:
    day = write(tmp_path / "day.jsonl", {"slot": 1, "blockHeight": 1, "blockTime": 5, "transactions": []})
    logs = write(tmp_path / "logs.json", [{"address": "0x1", "topics": []}])
    assert not is_transactions(day)
    assert not is_transactions(logs)
    assert is_logs(logs)


@pytest.mark.parametrize("encoding", ["base64", "base58"])
def test_signed_bytes_have_their_signature(tmp_path: Path, encoding: str) -> None:
    document = answer(7, 3)
    message = document["transaction"]["message"]
    parts = [b"\1", b"\3" * 64, b"\1\0\1", bytes([len(message["accountKeys"])])]
    parts += [base58.b58decode(key) for key in message["accountKeys"]]
    (call,) = message["instructions"]
    data = base58.b58decode(call["data"])
    parts += [
        bytes(32),
        b"\1",
        bytes([call["programIdIndex"], len(call["accounts"]), *call["accounts"], len(data)]),
        data,
    ]
    raw = b"".join(parts)
    text = base64.b64encode(raw) if encoding == "base64" else base58.b58encode(raw)
    plain = read(write(tmp_path / "plain.jsonl", document))
    assert read(write(tmp_path / "raw.jsonl", {**document, "transaction": [text.decode(), encoding]})) == plain
