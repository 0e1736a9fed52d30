"""What the compiled reader takes is what the general one reads; anything else it leaves to that."""

from __future__ import annotations

import io
import json
import random
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.parse.evm import json_file
from mevflow.operators.parse.evm.logs import LogJson, Logs, last_of, read_logs
from mevflow.operators.parse.evm.plain_json import plain_logs


def log(chance: random.Random, **changes: Any) -> dict[str, Any]:
    """As geth gives it."""
    made = {
        "address": "0x" + chance.randbytes(20).hex(),
        "topics": ["0x" + chance.randbytes(32).hex() for _ in range(chance.randrange(5))],
        "data": "0x" + chance.randbytes(32 * chance.randrange(8)).hex(),
        "blockNumber": hex(chance.randrange(1 << 40)),
        "transactionHash": "0x" + chance.randbytes(32).hex(),
        "transactionIndex": hex(chance.randrange(300)),
        "blockHash": "0x" + chance.randbytes(32).hex(),
        "blockTimestamp": hex(chance.randrange(1 << 33)),
        "logIndex": hex(chance.randrange(900)),
        "removed": chance.random() < 0.1,
    }
    return {**made, **changes}


def generally(text: bytes) -> tuple[Logs, list[Any]]:
    found = msgspec.json.decode(text, type=list[LogJson])
    return read_logs(found)


def same(one: Logs, other: Logs) -> bool:
    """Data are compared log by log."""
    columns = [field.name for field in fields(Logs) if field.name not in ("data", "data_at")]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns) and all(
        one.data[a : a + size].tobytes() == other.data[b : b + size].tobytes()
        for a, b, size in zip(one.data_at, other.data_at, one.data_size, strict=True)
    )


@given(
    st.randoms(use_true_random=False), st.integers(0, 12), st.sampled_from([(",", ":"), (", ", ": "), (",\n\t", " :")])
)
@settings(max_examples=60, deadline=None)
def test_plain_logs_are_read_as_the_general_reader_does(
    chance: random.Random, count: int, between: tuple[str, str]
) -> None:
    made = []
    for _ in range(count):
        one = log(chance)
        for name in ("blockTimestamp", "removed", "blockHash"):
            if chance.random() < 0.3:
                del one[name]
        if chance.random() < 0.3:
            one |= {"extra": chance.choice(["0x1", None, True, False, 0, 12]), "logsBloom": ""}
        if chance.random() < 0.3:
            one |= {"address": one["address"].replace("0x", "0X").upper(), "blockTimestamp": None, "blockHash": None}
        made.append(dict(chance.sample(list(one.items()), len(one))))
    text = json.dumps(made, separators=between).encode()
    whole, bad = generally(text)
    assert not bad
    found = plain_logs(text)
    assert found is not None
    assert same(found, whole)
    lines = plain_logs(b"\n".join(json.dumps(one).encode() for one in made))
    assert lines is not None
    assert same(lines, whole)


WRONG = [
    {"address": "0x12"},
    {"address": None},
    {"address": "0x" + "1g" * 20},
    {"address": "1x" + "11" * 20},
    {"topics": ["0x" + "11" * 32] * 5},
    {"topics": ["0x" + "11" * 31]},
    {"topics": [7]},
    {"topics": "0x"},
    {"topics": [["0x" + "11" * 32]]},
    {"data": "0x1"},
    {"data": ""},
    {"data": "0x" + "11" * 65_537},
    {"data": None},
    {"blockNumber": "0x"},
    {"blockNumber": "12"},
    {"blockNumber": "0x8000000000000000"},
    {"blockNumber": "0x10000000000000000"},
    {"blockNumber": 12},
    {"logIndex": None},
    {"blockTimestamp": "later"},
    {"blockTimestamp": 5},
    {"removed": "true"},
    {"removed": None},
    {"removed": 1},
    {"blockHash": 1},
    {"blockHash": False},
    {"extra": {}},
    {"extra": [1]},
    {"extra": 1.5},
    {"extra": -1},
    {"extra": 'a"b'},
    {"extra": "é"},
    {"addr\\ess": "0x"},
]


@pytest.mark.parametrize("changes", WRONG)
def test_what_is_not_plain_is_left_to_the_general_reader(changes: dict[str, Any]) -> None:
    chance = random.Random(5)
    text = json.dumps([log(chance), log(chance, **changes), log(chance)], ensure_ascii=False).encode()
    assert plain_logs(text) is None


@pytest.mark.parametrize("missing", ["address", "topics", "data", "blockNumber", "transactionHash", "logIndex"])
def test_a_log_without_a_field_or_with_one_twice_is_not_plain(missing: str) -> None:
    one = log(random.Random(5))
    without = json.dumps({name: value for name, value in one.items() if name != missing})
    assert plain_logs(without.encode()) is None
    twice = without[:-1] + f', "{missing}": {json.dumps(one[missing])}' * 2 + "}"
    assert plain_logs(twice.encode()) is None


@pytest.mark.parametrize(
    "text", [b"{", b'{"', b"{}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1', b"[1]", b'"a"', b'{"a":tru}', b'{"a":nul']
)
def test_what_is_no_json_is_not_plain(text: bytes) -> None:
    assert plain_logs(text) is None


@given(st.randoms(use_true_random=False), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_damaged_text_is_read_alike_or_not_at_all(chance: random.Random, octet: int) -> None:
    """A byte changed, a stretch gone or doubled: nothing is read beyond the end, or otherwise than before."""
    text = bytearray(json.dumps([log(chance) for _ in range(3)]).encode())
    at = chance.randrange(len(text))
    match chance.randrange(3):
        case 0:
            text[at] = octet
        case 1:
            del text[at : at + chance.randrange(40)]
        case _:
            text[at:at] = text[at : at + chance.randrange(40)]
    found = plain_logs(bytes(text))
    if found is None:
        return
    (rows,) = json_file_rows(bytes(text))
    whole, bad = read_logs(rows)
    assert not bad
    assert same(found, whole)


def json_file_rows(text: bytes) -> list[list[LogJson | bytes]]:
    """The general reader of files: stretches this short are not compiled."""
    parts = [one for part in json_file.stretches(io.BytesIO(text), "a.json") for one in part]  # type: ignore[union-attr]
    return [parts]


def test_a_file_of_either_kind_of_stretch_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches that are not plain lie between others; what cannot be read stands behind the log before it."""
    monkeypatch.setattr(json_file, "_BLOCK", 4_000)
    monkeypatch.setattr(json_file, "_COMPILED", 0)
    chance = random.Random(2)
    made = [log(chance) for _ in range(60)]
    made[30] |= {"extra": 1.5}
    parts = list(json_file.stretches(io.BytesIO(json.dumps(made).encode()), "a.json"))
    kinds = {isinstance(part, Logs) for part in parts}
    assert kinds == {True, False}
    blocks: list[int] = []
    for part in parts:
        logs = part if isinstance(part, Logs) else read_logs(part)[0]
        blocks += logs.block.tolist()
    assert blocks == [int(one["blockNumber"], 16) for one in made]


def test_the_place_of_the_last_log_is_that_of_what_follows_and_cannot_be_read() -> None:
    one = log(random.Random(3))
    found = plain_logs(json.dumps(one).encode())
    assert found is not None
    logs, bad = read_logs([b"{}"], last_of(found))
    assert len(bad) == 1
    place = int(one["blockNumber"], 16), int(one["transactionIndex"], 16), int(one["logIndex"], 16) + 1
    assert (int(logs.block[0]), int(logs.tx_index[0]), int(logs.log_index[0])) == place
    assert (bool(logs.unread[0]), int(logs.timestamp_s[0])) == (True, int(one["blockTimestamp"], 16))
