"""The state of a Raydium CLMM pool at one slot, from its accounts: ticks of the arrays around the price, and no others.

Addresses are held against recorded instructions that name them.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import base58
import pytest

from mevflow.operators.accounts import raydium_clmm, registry
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.registry import RAYDIUM_CLMM
from mevflow.sources.evm.rpc import EndpointSettings, RpcNode
from mevflow.sources.solana.derived import derived_address
from mevflow.sources.solana.state import read_pools
from mevflow.v1 import market_pb2 as market
from tests.operators.accounts.test_registry import recorded
from tests.sources.solana.node import Node

INSTRUCTIONS = Path(__file__).parents[2] / "data" / "solana_instructions.json.gz"
POOL = bytes([5]) * 32
TOKEN, TOKEN_2022 = (
    base58.b58decode(one)
    for one in ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
)
_OPEN_TIME = 8 + 1 + 32 * 7 + 4 + 16 + 16 + 4 + 4 + 32 + 16 + 64 + 8 + 169 * 3 + 128 + 32 + 16


def array_address(pool: bytes, start: int) -> bytes:
    return derived_address((b"tick_array", pool, start.to_bytes(4, "big", signed=True)), RAYDIUM_CLMM)


@pytest.mark.parametrize("name", ["open_position", "open_position_v2", "open_position_with_token22_nft"])
def test_tick_arrays_have_the_addresses_that_instructions_name(name: str) -> None:
    with gzip.open(INSTRUCTIONS, "rt") as file:
        one = json.load(file)[f"raydium-clmm {name}"]
    named = [base58.b58decode(each["pubkey"]) for each in one["accounts"]]
    pool = named[4 if name.endswith("nft") else 5]
    starts = struct.unpack_from("<ii", bytes.fromhex(one["data"]), 16)
    assert [array_address(pool, start) in named for start in starts] == [True, True]


def tick_array(start: int, spacing: int, nets: dict[int, int], orders: tuple[int, ...] = ()) -> bytes:
    """An account of 60 ticks, of which some have liquidity or limit orders."""
    data = raydium_clmm.TICK_ARRAY + POOL + struct.pack("<i", start)
    for tick in range(start, start + 60 * spacing, spacing):
        net = nets.get(tick, 0)
        data += struct.pack("<i", tick) + net.to_bytes(16, "little", signed=True) + abs(net).to_bytes(16, "little")
        data += bytes(88) + struct.pack("<QQ", int(tick in orders), 0) + bytes(28)
    return data.ljust(raydium_clmm.TICK_ARRAY_SIZE, b"\0")


class ClmmWorld:
    """A node that has a recorded pool's accounts, and arrays of a test's own."""

    def __init__(self, node: Node) -> None:
        self.node, self.rpc = node, RpcNode(EndpointSettings(url=node.rpc, max_rps=1e6))
        program, self.data = recorded("clmm_pool")
        account = registry.decode(program, self.data)
        assert isinstance(account, raydium_clmm.ClmmPoolAccount)
        self.account, self.spacing = account, account.tick_spacing
        self.here = raydium_clmm.array_start(account.tick, self.spacing)
        self.put(POOL, program, self.data)
        self.put(account.config, *recorded("clmm_config"))
        for mint in (account.mint_a, account.mint_b):
            self.put(mint, TOKEN, bytes(82))

    def put(self, key: bytes, program: bytes, data: bytes) -> None:
        self.node.accounts[base58.b58encode(key).decode()] = program, data

    def array(self, place: int, nets: dict[int, int], orders: tuple[int, ...] = ()) -> None:
        """An array so many arrays from the price's own; ticks count from its start, in spacings."""
        start = self.here + place * 60 * self.spacing
        ticks = {start + number * self.spacing: net for number, net in nets.items()}
        ordered = tuple(start + number * self.spacing for number in orders)
        self.put(array_address(POOL, start), RAYDIUM_CLMM, tick_array(start, self.spacing, ticks, ordered))

    def tick(self, place: int, number: int) -> int:
        return self.here + (60 * place + number) * self.spacing

    def row(self, time_s: int = 1_700_000_000) -> dict[str, Any]:
        (found,) = read_pools(self.rpc, [POOL], self.node.account_slot)
        (row,) = found.rows(time_s).to_pylist()
        return dict(row)


@pytest.fixture
def world() -> Iterator[ClmmWorld]:
    node = Node()
    yield ClmmWorld(node)
    node.close()


def test_a_pool_is_stated_with_the_ticks_of_the_arrays_around_its_price(world: ClmmWorld) -> None:
    world.array(-8, {0: 7})
    world.array(0, {3: 5, 59: -5})
    world.array(8, {59: -7})
    world.array(9, {0: 11})
    row = world.row()
    assert (row["kind"], row["venue"]) == (market.PoolUpdate.KIND_SNAPSHOT, market.VENUE_RAYDIUM_CLMM)
    assert (row["slot"], row["tick"], row["tick_spacing"]) == (
        world.node.account_slot,
        world.account.tick,
        world.spacing,
    )
    assert int.from_bytes(row["sqrt_price_x64"], "little") == world.account.sqrt_price
    assert int.from_bytes(row["liquidity"], "little") == world.account.liquidity
    config = registry.decode(*recorded("clmm_config"))
    assert isinstance(config, raydium_clmm.ClmmConfigAccount)
    assert row["fee_pips"] == config.fee_pips
    told = [(one["tick"], int.from_bytes(one["liquidity_net"], "little", signed=True)) for one in row["ticks"]]
    assert told == [
        (world.tick(-8, 0), 7), (world.tick(0, 3), 5), (world.tick(0, 59), -5), (world.tick(8, 59), -7),
    ]  # fmt: skip
    assert row["known_range_set"]
    assert (row["known_tick_lower"], row["known_tick_upper"]) == (world.tick(-8, 0), world.tick(9, 0) - 1)


def test_a_pool_is_known_up_to_its_limit_orders(world: ClmmWorld) -> None:
    world.array(-2, {}, orders=(4,))
    world.array(3, {}, orders=(7,))
    row = world.row()
    assert (row["known_tick_lower"], row["known_tick_upper"]) == (world.tick(-2, 4), world.tick(3, 7))


@pytest.mark.parametrize("missing", ["config", "mint_b"])
def test_a_pool_whose_accounts_are_not_all_there_is_not_stated(world: ClmmWorld, missing: str) -> None:
    del world.node.accounts[base58.b58encode(getattr(world.account, missing)).decode()]
    with pytest.raises(AccountError, match="is gone"):
        world.row()


def test_a_pool_of_a_mint_that_keeps_a_part_of_transfers_is_not_stated(world: ClmmWorld) -> None:
    world.put(world.account.mint_a, TOKEN_2022, bytes(166) + struct.pack("<HH", 1, 0))
    with pytest.raises(AccountError, match="keeps a part"):
        world.row()


@pytest.mark.parametrize(("opens_s", "removed"), [(1_699_999_999, False), (1_700_000_001, True)])
def test_a_pool_that_opens_later_is_removed(world: ClmmWorld, opens_s: int, removed: bool) -> None:
    data = world.data[:_OPEN_TIME] + struct.pack("<Q", opens_s) + world.data[_OPEN_TIME + 8 :]
    world.put(POOL, RAYDIUM_CLMM, data)
    assert (world.row()["kind"] == market.PoolUpdate.KIND_REMOVE) == removed
