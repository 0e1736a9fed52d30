"""Snapshot files: whole pools out of lines, columns out of pools, and errors that name the line."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import base58
import pytest

from mevflow.operators.accounts import raydium_amm, whirlpool
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.snapshot import read_whirlpools
from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.operators.codec import codec
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.v1 import market_pb2 as market
from tests.operators.accounts.test_registry import amm_v4

POOL = bytes(range(32))


def pool_account(tick: int = 5, spacing: int = 64, liquidity: int = 10**9) -> bytes:
    head = whirlpool.POOL + bytes(33) + spacing.to_bytes(2, "little") * 2
    fees = (3_000).to_bytes(2, "little") + (300).to_bytes(2, "little")
    price = tick_math_x64.price_at(tick).to_bytes(16, "little")
    body = head + fees + liquidity.to_bytes(16, "little") + price + tick.to_bytes(4, "little", signed=True)
    mints = bytes(16) + b"\1" * 32 + bytes(32) + bytes(16) + b"\2" * 32
    return (body + mints).ljust(whirlpool.POOL_SIZE, b"\0")


def array_account(start: int, ticks: dict[int, int]) -> bytes:
    body = b""
    for place in range(88):
        net = ticks.get(place, 0)
        body += (
            bytes([net != 0]) + net.to_bytes(16, "little", signed=True) + abs(net).to_bytes(16, "little") + bytes(80)
        )
    return whirlpool.FIXED_TICK_ARRAY + start.to_bytes(4, "little", signed=True) + body + POOL


def write(path: Path, accounts: list[tuple[bytes, bytes]]) -> Path:
    lines = [f"{base58.b58encode(key).decode()},{base64.b64encode(data).decode()}\n" for key, data in accounts]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


def snapshot(path: Path) -> Path:
    return write(
        path,
        [
            (POOL, pool_account()),
            (b"\3" * 32, array_account(0, {1: -500, 2: -(10**9) + 500})),
            (b"\4" * 32, array_account(-5632, {87: 10**9})),
            (b"\5" * 32, bytes.fromhex("aabc8fe47a40f7d0") + bytes(208)),
        ],
    )


def test_pools_with_their_ticks(tmp_path: Path) -> None:
    pools = read_whirlpools(snapshot(tmp_path / "s.csv.gz"))
    assert set(pools) == {POOL}
    found = pools[POOL]
    assert found.tick_arrays == 2
    assert found.state.ticks == (-64, 64, 128)
    assert found.state.liquidity_net == (10**9, -500, -(10**9) + 500)
    assert (found.state.fee_pips, found.state.protocol_fee_bps) == (3_000, 300)


def test_pool_updates_are_the_messages_columns(tmp_path: Path) -> None:
    gathered = PoolUpdates(Seen(slot=7, timestamp_us=9))
    gathered.whirlpools(read_whirlpools(snapshot(tmp_path / "s.csv.gz")).values())
    account = raydium_amm.decode_amm_v4(amm_v4())
    gathered.raydium_v4(b"\6" * 32, account, 1_007, 2_008)
    assert len(gathered) == 2
    batch = gathered.take()
    encoded = codec("mevflow.v1.PoolUpdate").encode(batch)
    orca, raydium = (market.PoolUpdate.FromString(value.as_py()) for value in encoded)
    assert (orca.slot, orca.venue, orca.kind) == (7, market.VENUE_ORCA_WHIRLPOOL, market.PoolUpdate.KIND_SNAPSHOT)
    assert [(tick.tick, int.from_bytes(tick.liquidity_net, "little", signed=True)) for tick in orca.ticks] == [
        (-64, 10**9),
        (64, -500),
        (128, -(10**9) + 500),
    ]
    assert int.from_bytes(orca.sqrt_price_x64, "little") == tick_math_x64.price_at(5)
    assert (raydium.venue, raydium.fee_pips) == (market.VENUE_RAYDIUM_V4, 2_500)
    assert int.from_bytes(raydium.reserve_a, "little") == 1_000
    assert int.from_bytes(raydium.reserve_b, "little") == 2_000
    with pytest.raises(AccountError, match="owes more"):
        gathered.raydium_v4(b"\6" * 32, account, 6, 2_008)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (gzip.compress(b"no comma\n", mtime=0), 1),
        (gzip.compress(b"1111,AAAA\n", mtime=0), 1),
        (gzip.compress(b"\n" + base58.b58encode(POOL) + b",not base64\n", mtime=0), 2),
        (b"not gzip at all", None),
        (gzip.compress(b"x" * 5_000, mtime=0)[:30], None),
    ],
)
def test_a_file_that_is_not_one(tmp_path: Path, content: bytes, line: int | None) -> None:
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(content)
    with pytest.raises(AccountError) as refused:
        read_whirlpools(path)
    assert refused.value.file == str(path)
    assert refused.value.line == line


def test_a_bad_account_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv.gz", [(POOL, pool_account()), (b"\7" * 32, whirlpool.POOL + bytes(9))])
    with pytest.raises(AccountError, match="has 653 bytes") as refused:
        read_whirlpools(path)
    assert refused.value.line == 2
