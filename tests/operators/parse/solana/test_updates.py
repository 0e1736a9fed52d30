"""Liquidity, fees and new pools of Solana venues: recorded instructions, events as the programs write them, fuzz."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.accounts import registry
from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.operators.parse.changes import MEMORY, Memory
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.events import SELF_CALL
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.solana.messages import MINT_A, MINT_B, POOL, anchor, logged, numbers, transaction

DATA = Path(__file__).parents[3] / "data" / "solana_instructions.json.gz"
RECORDED: dict[str, Any] = json.loads(gzip.decompress(DATA.read_bytes()))
CREATE, LIQUIDITY, FEE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
)
POSITION = bytes([5]) * 32
AMOUNTS = ("reserve_a", "reserve_b", "sqrt_price_x64", "liquidity")


def parse(*documents: Any) -> tuple[list[dict[str, Any]], list[ParseError]]:
    """Updates with amounts as integers, and what was refused."""
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    for index, document in enumerate(documents):
        parser.add(document, slot=9, tx_index=index)
    rows: list[dict[str, Any]] = []
    for batch in parser.flush():
        batch.validate(full=True)
        if batch.schema.metadata[b"message"] == b"mevflow.v1.PoolUpdate":
            rows += batch.to_pylist()
    for row in rows:
        for name in AMOUNTS:
            row[name] = int.from_bytes(row[name], "little") if row[name] else None
        raw = row["liquidity_delta"]
        row["liquidity_delta"] = int.from_bytes(raw, "little", signed=True) if raw else None
    return rows, errors


def one(*documents: Any) -> dict[str, Any]:
    rows, errors = parse(*documents)
    assert errors == []
    return rows[-1]


def refused(*documents: Any) -> str:
    _, errors = parse(*documents)
    return errors[-1].reason


def lost(row: dict[str, Any]) -> bool:
    """Whether an update only says that its pool changed and nobody knows how."""
    return row["kind"] in (market.PoolUpdate.KIND_UNSPECIFIED, LIQUIDITY, market.PoolUpdate.KIND_REMOVE) and not any(
        row[name] for name in ("reserve_a", "tick_lower", "tick_upper", "liquidity_delta", "tick", "bins")
    )


def call(program: bytes, name: str, arguments: bytes, keys: list[bytes], lines: list[str] | None = None) -> Any:
    """A transaction with one call whose accounts are ``keys``."""
    document = transaction(program, anchor("global", name) + arguments, lines or [])
    message = document["transaction"]["message"]
    message["accountKeys"] = [base58.b58encode(key).decode() for key in (*keys, program)]
    message["instructions"][0] |= {"programIdIndex": len(keys), "accounts": list(range(len(keys)))}
    return document


def accounts(count: int, **places: int) -> list[bytes]:
    """``count`` keys; ``pool``, ``position``, ``a`` and ``b`` at their places."""
    known = {"pool": POOL, "position": POSITION, "a": MINT_A, "b": MINT_B}
    keys = [bytes([100 + place]) * 32 for place in range(count)]
    for name, place in places.items():
        keys[place] = known[name]
    return keys


def i32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little", signed=True) for value in values)


def test_every_recorded_instruction_is_read_or_refused_with_a_reason() -> None:
    read, reasons = set(), {}
    for name, document in RECORDED.items():
        rows, errors = parse(document)
        if not errors or not all(lost(row) for row in rows):
            read |= {name} if rows else set()
        if errors:
            reasons[name] = errors[0].reason
    assert sum(name.startswith("meteora-dlmm") for name in read) == 22
    assert {name for name in read if not name.startswith("meteora")} == {
        "orca-whirlpool initialize_pool",
        "orca-whirlpool initialize_pool_v2",
        "orca-whirlpool open_bundled_position",
        "orca-whirlpool open_position",
        "orca-whirlpool open_position_with_metadata",
        "raydium-clmm create_pool",
        "raydium-clmm update_pool_status",
    }
    assert {reason for name, reason in reasons.items() if "swap" in name} == {"no_outcome"}
    assert set(reasons.values()) == {"no_outcome", "unknown_position", "unknown_liquidity", "unknown_pool"}


def test_recorded_values() -> None:
    created = one(RECORDED["orca-whirlpool initialize_pool_v2"])
    assert created["sqrt_price_x64"] == 313_696_632_313_979_986_050
    assert created["tick"] == tick_math_x64.tick_at(created["sqrt_price_x64"])
    assert (created["kind"], created["tick_spacing"], created["liquidity"]) == (CREATE, 32_896, 0)
    opened = one(RECORDED["orca-whirlpool open_position"])
    assert (opened["tick_lower"], opened["tick_upper"], opened["liquidity_delta"]) == (-21_264, -19_424, 0)
    pair = one(RECORDED["meteora-dlmm initialize_permission_lb_pair"])
    assert (pair["tick"], pair["tick_spacing"], pair["fee_pips"]) == (-48_930, 1, 100)
    moved = one(RECORDED["meteora-dlmm remove_liquidity_by_range"])
    assert (moved["tick_lower"], moved["tick_upper"], moved["liquidity_delta"]) == (-239, -171, None)


def test_whirlpool_position_from_opening_to_close() -> None:
    opening = call(registry.WHIRLPOOL, "open_position", b"\xff" + i32(-64, 128), accounts(10, position=2, pool=5))
    adding = call(registry.WHIRLPOOL, "increase_liquidity_v2", numbers(16, 77), accounts(15, pool=0, position=5))
    taking = call(registry.WHIRLPOOL, "decrease_liquidity", numbers(16, 70), accounts(11, pool=0, position=3))
    closing = call(registry.WHIRLPOOL, "close_position", b"", accounts(6, position=2))
    rows, errors = parse(opening, adding, taking, closing)
    assert errors == []
    assert [row["liquidity_delta"] for row in rows] == [0, 77, -70, 0]
    assert {(row["pool"], row["tick_lower"], row["tick_upper"], row["kind"]) for row in rows} == {
        (POOL, -64, 128, LIQUIDITY)
    }
    assert refused(adding) == "unknown_position"
    assert parse(closing) == ([], [])


def test_whirlpool_events_need_no_memory() -> None:
    event = (
        anchor("event", "LiquidityDecreased") + POOL + POSITION + i32(-8, 8) + numbers(16, 5) + numbers(8, 1, 2, 0, 0)
    )
    keys = accounts(11, pool=0, position=3)
    row = one(call(registry.WHIRLPOOL, "decrease_liquidity", numbers(16, 5), keys, logged(event)))
    assert (row["tick_lower"], row["tick_upper"], row["liquidity_delta"]) == (-8, 8, -5)
    keys[0] = MINT_A
    assert refused(call(registry.WHIRLPOOL, "decrease_liquidity", numbers(16, 5), keys, logged(event))) == "malformed"


def test_whirlpool_fee() -> None:
    row = one(call(registry.WHIRLPOOL, "set_fee_rate", numbers(2, 3_000), accounts(3, pool=1)))
    assert (row["kind"], row["pool"], row["fee_pips"]) == (FEE, POOL, 3_000)


@pytest.mark.parametrize("active", [True, False])
def test_raydium_clmm(active: bool) -> None:
    before, after = (50, 83) if active else (50, 50)
    change = anchor("event", "LiquidityChangeEvent") + POOL + i32(7, -60, 60) + numbers(16, before, after)
    amount = anchor("event", "IncreaseLiquidityEvent") + bytes(32) + numbers(16, 33) + numbers(8, 1, 2, 0, 0)
    row = one(
        call(
            registry.RAYDIUM_CLMM,
            "increase_liquidity_v2",
            numbers(16, 0) + numbers(8, 5, 5),
            accounts(15, pool=2, position=4),
            logged(change) + logged(amount),
        )
    )
    assert (row["tick_lower"], row["tick_upper"], row["liquidity_delta"]) == (-60, 60, 33)
    assert (row["tick"], row["liquidity"]) == (7, after)
    personal = anchor("event", "CreatePersonalPositionEvent") + POOL + bytes(64) + i32(-10, 10) + numbers(16, 44)
    opening = i32(-10, 10, -60, 0) + numbers(16, 0) + numbers(8, 5, 5)
    keys = accounts(22, pool=5, position=9)
    row = one(call(registry.RAYDIUM_CLMM, "open_position_v2", opening, keys, logged(personal)))
    assert row["liquidity_delta"] == 44
    assert refused(call(registry.RAYDIUM_CLMM, "open_position_v2", opening, keys)) == "unknown_liquidity"


def test_raydium_cpmm() -> None:
    keys = accounts(20, pool=3, a=4, b=5)
    row = one(call(registry.RAYDIUM_CPMM, "initialize", numbers(8, 100, 200, 0), keys))
    assert (row["kind"], row["reserve_a"], row["reserve_b"]) == (CREATE, 100, 200)
    assert (row["mint_a"], row["mint_b"]) == (MINT_A, MINT_B)
    for kind, expected in ((0, (110, 220)), (1, (90, 180))):
        event = anchor("event", "LpChangeEvent") + POOL + numbers(8, 1, 100, 200, 10, 20, 0, 0) + bytes([kind])
        name = ("deposit", "withdraw")[kind]
        row = one(call(registry.RAYDIUM_CPMM, name, numbers(8, 1, 2, 3), accounts(13, pool=2), logged(event)))
        assert (row["kind"], row["reserve_a"], row["reserve_b"]) == (LIQUIDITY, *expected)
    assert refused(call(registry.RAYDIUM_CPMM, "deposit", numbers(8, 1, 2, 3), accounts(13, pool=2))) == "no_outcome"


def ray(entry: bytes) -> list[str]:
    return [line.replace("Program data: ", "Program log: ray_log: ") for line in logged(entry)]


def amm_v4(data: bytes, keys: list[bytes], lines: list[str]) -> Any:
    document = call(registry.RAYDIUM_AMM_V4, "", b"", keys, lines)
    document["transaction"]["message"]["instructions"][0]["data"] = base58.b58encode(data).decode()
    return document


def test_raydium_amm_v4() -> None:
    start = b"\0" + numbers(8, 1) + bytes([6, 9]) + numbers(8, 1, 1, 500, 700) + bytes(32)
    row = one(amm_v4(b"\1\xfe" + numbers(8, 0, 500, 700), accounts(21, pool=4, a=8, b=9), ray(start)))
    assert (row["kind"], row["reserve_a"], row["reserve_b"], row["fee_pips"]) == (CREATE, 700, 500, 2_500)
    assert (row["decimals_a"], row["decimals_b"]) == (9, 6)
    added = b"\1" + numbers(8, 9, 9, 0, 700, 500, 60) + bytes(32) + numbers(8, 70, 50, 6)
    row = one(amm_v4(b"\3" + numbers(8, 9, 9, 0), accounts(14, pool=1), ray(added)))
    assert (row["kind"], row["reserve_a"], row["reserve_b"]) == (LIQUIDITY, 770, 550)
    taken = b"\2" + numbers(8, 6, 6, 770, 550, 66) + bytes(32) + numbers(8, 70, 50)
    row = one(amm_v4(b"\4" + numbers(8, 6), accounts(20, pool=1), ray(taken)))
    assert (row["reserve_a"], row["reserve_b"]) == (700, 500)
    too_much = b"\2" + numbers(8, 6, 6, 10, 10, 66) + bytes(32) + numbers(8, 70, 50)
    assert refused(amm_v4(b"\4" + numbers(8, 6), accounts(20, pool=1), ray(too_much))) == "value"
    assert refused(amm_v4(b"\3" + numbers(8, 9, 9, 0), accounts(14, pool=1), [])) == "no_outcome"


def test_dlmm_fee_of_a_pair_that_was_seen() -> None:
    opening = call(
        registry.METEORA_DLMM, "initialize_lb_pair", i32(91) + numbers(2, 25), accounts(14, pool=0, a=2, b=3)
    )
    fee = call(
        registry.METEORA_DLMM, "update_base_fee_parameters", numbers(2, 2_000, 8_000) + b"\0", accounts(4, pool=0)
    )
    row = one(opening, fee)
    assert (row["kind"], row["fee_pips"]) == (FEE, 2_000)
    assert refused(fee) == "unknown_pool"


def test_dlmm_event_names_the_active_bin() -> None:
    keys = accounts(15, position=0, pool=1)
    document = call(registry.METEORA_DLMM, "remove_all_liquidity", b"", keys)
    event = anchor("event", "RemoveLiquidity") + POOL + bytes(32) + POSITION + numbers(8, 3, 4) + i32(-17)
    name = base58.b58encode(registry.METEORA_DLMM).decode()
    logs = document["meta"]["logMessages"]
    document["meta"]["logMessages"] = [logs[0], f"Program {name} invoke [2]", f"Program {name} success", logs[-1]]
    data = base58.b58encode(SELF_CALL + event).decode()
    inner = {"programIdIndex": len(keys), "accounts": [], "data": data, "stackHeight": 2}
    document["meta"]["innerInstructions"] = [{"index": 0, "instructions": [inner]}]
    assert one(document)["tick"] == -17


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_cut_records_are_refused(name: str) -> None:
    """Fewer accounts or fewer bytes: a row with less in it, or a reason; never another error."""
    document = RECORDED[name]
    if "program_id" not in document:
        return
    for cut in range(0, len(document["data"]), 2):
        parse({**document, "data": document["data"][:cut]})
    for cut in range(len(document["accounts"])):
        parse({**document, "accounts": document["accounts"][:cut]})
    rows, errors = parse({**document, "data": ""})
    assert rows == []
    assert [error.reason for error in errors] == ["unknown_instruction"]


def test_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(MEMORY + 5):
        memory.keep_range(number.to_bytes(4, "little"), POOL, 0, 1)
    assert memory.range_of((4).to_bytes(4, "little")) is None
    assert memory.range_of((5).to_bytes(4, "little")) == (POOL, 0, 1)


NAMES = sorted(RECORDED)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8) | st.just("1" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for name, child in items for place in places(child, (*path, name)))]


PLACES = {name: [place for place in places(RECORDED[name]) if place] for name in NAMES}


@settings(max_examples=200)
@given(st.sampled_from(NAMES), st.data())
def test_a_changed_record_never_raises(name: str, data: st.DataObject) -> None:
    document = copy.deepcopy(RECORDED[name])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PLACES[name]))
        node = document
        try:
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = data.draw(VALUES)
        except (KeyError, TypeError, IndexError):
            continue  # an earlier change took the place away
    parse(document)


@settings(max_examples=300)
@given(
    name=st.sampled_from([name for name in NAMES if "program_id" in RECORDED[name]]),
    arguments=st.binary(max_size=120),
    event=st.binary(max_size=200),
    kind=st.sampled_from(["LiquidityIncreased", "PoolInitialized", "PoolCreatedEvent", "LiquidityChangeEvent",
                          "LpChangeEvent", "AddLiquidity", "LbPairCreate", "IncreaseLiquidityEvent"]),
)  # fmt: skip
def test_no_arguments_and_no_event_raise(name: str, arguments: bytes, event: bytes, kind: str) -> None:
    recorded = RECORDED[name]
    program = base58.b58decode(recorded["program_id"])
    keys = [base58.b58decode(account["pubkey"]) for account in recorded["accounts"]]
    document = call(program, "", b"", keys, logged(anchor("event", kind) + event))
    data = bytes.fromhex(recorded["data"][:16]) + arguments
    document["transaction"]["message"]["instructions"][0]["data"] = base58.b58encode(data).decode()
    parse(document)


@settings(max_examples=200)
@given(tag=st.integers(0, 18), arguments=st.binary(max_size=60), entry=st.binary(max_size=130))
def test_no_amm_v4_bytes_raise(tag: int, arguments: bytes, entry: bytes) -> None:
    for first in (b"\0", b"\1", b"\2", b""):
        parse(amm_v4(bytes([tag]) + arguments, accounts(21), ray(first + entry)))
