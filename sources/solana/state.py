"""The whole state of pools at one slot, read from their accounts (``getMultipleAccounts``), as ``PoolUpdate`` rows.

A pool is read twice: once for the addresses of what belongs to it, then with all of that in one answer, which is of one
slot. Ticks and bins are read around the price; beyond them nothing is known.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import base58
import msgspec
import pyarrow as pa
from msgspec.structs import replace

from mevflow.operators.accounts import dlmm, raydium_amm, raydium_clmm, whirlpool
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.registry import (
    METEORA_DLMM,
    RAYDIUM_CLMM,
    RAYDIUM_CPMM,
    WHIRLPOOL,
    Account,
    decode,
)
from mevflow.operators.accounts.snapshot import WhirlpoolSnapshot
from mevflow.operators.accounts.states import whirlpool_state
from mevflow.operators.amm.concentrated.whirlpool import TICKS_PER_ARRAY, array_start
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.sources.evm.rpc import NodeError, RpcNode
from mevflow.sources.followed import AFTER_ALL
from mevflow.sources.solana.derived import derived_address

#: The most accounts that a node gives at once.
_AT_ONCE = 100
#: Of Whirlpool and Raydium CLMM, on either side.
_MOST_TICK = 443_636
#: Tick arrays and bin arrays that are read on either side of the price.
_AROUND = 8
_TOKEN_2022 = base58.b58decode("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
#: Where a mint's extensions begin, and the kind of one that keeps a part of every transfer.
_EXTENSIONS, _TRANSFER_FEE = 166, 1


@dataclass(frozen=True, slots=True)
class RawAccount:
    """An account's program and bytes."""

    owner: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ReadPool:
    """A pool's accounts at the end of ``slot``; ``wrong`` says why it cannot be stated."""

    slot: int
    address: bytes
    accounts: Mapping[bytes, RawAccount]
    wrong: str = ""

    def rows(self, time_s: int) -> pa.RecordBatch:
        """Its ``KIND_SNAPSHOT``, behind everything of its slot. Raises AccountError."""
        if self.wrong:
            raise AccountError(self.wrong, key=base58.b58encode(self.address).decode(), reason="value")
        updates = PoolUpdates(Seen(self.slot, time_s * 1_000_000))
        _state(self.address, self.accounts, updates)
        batch = updates.take()
        for name in ("tx_index", "ix_index"):
            at = batch.schema.get_field_index(name)
            field = batch.schema.field(at)
            batch = batch.set_column(at, field, pa.array([AFTER_ALL] * batch.num_rows, field.type))
        return batch


def read_pools(node: RpcNode, pools: Sequence[bytes], least_slot: int) -> list[ReadPool]:
    """The pools at slots from ``least_slot`` on. Raises NodeError, CallError where the node is not there yet."""
    found = []
    for at in range(0, len(pools), _AT_ONCE):
        _, first = _accounts(node, pools[at : at + _AT_ONCE], least_slot)
        for pool in pools[at : at + _AT_ONCE]:
            try:
                if pool not in first:
                    raise AccountError("there is no such account", reason="value")
                needed = _needed(pool, first[pool])
                slot, accounts = _accounts(node, [pool, *needed], least_slot)
                found.append(ReadPool(slot, pool, accounts))
            except AccountError as wrong:
                found.append(ReadPool(least_slot, pool, {}, wrong.message))
    return found


def _accounts(node: RpcNode, keys: Sequence[bytes], least_slot: int) -> tuple[int, dict[bytes, RawAccount]]:
    """Those of ``keys`` that there are, and the slot at whose end they were so."""
    asked = {"encoding": "base64", "commitment": "confirmed", "minContextSlot": least_slot}
    answer = msgspec.json.decode(
        node.call("getMultipleAccounts", [base58.b58encode(key).decode() for key in keys], asked)
    )
    try:
        slot, listed = answer["context"]["slot"], answer["value"]
        if not isinstance(slot, int) or len(listed) != len(keys):
            raise ValueError("another number of accounts than asked for")
        found = {
            key: RawAccount(base58.b58decode(one["owner"]), base64.b64decode(one["data"][0], validate=True))
            for key, one in zip(keys, listed, strict=True)
            if one is not None
        }
    except (KeyError, TypeError, ValueError, IndexError, binascii.Error) as wrong:
        raise NodeError(f"answered with what are no accounts: {wrong}", key=node.name) from wrong
    if slot < least_slot:
        raise NodeError(f"answered of slot {slot}, before slot {least_slot}", key=node.name)
    return slot, found


def _needed(pool: bytes, raw: RawAccount) -> list[bytes]:
    """What belongs to a pool beside its own account. Raises AccountError for one whose state is not read."""
    account = decode(raw.owner, raw.data)
    if isinstance(account, whirlpool.WhirlpoolAccount):
        return [account.mint_a, account.mint_b, *_tick_arrays(pool, account)]
    if isinstance(account, raydium_amm.AmmV4Account):
        return [account.mint_a, account.mint_b, account.vault_a, account.vault_b]
    if isinstance(account, raydium_amm.CpmmPoolAccount):
        return [account.mint_a, account.mint_b, account.vault_a, account.vault_b, account.config]
    if isinstance(account, raydium_clmm.ClmmPoolAccount):
        return [account.mint_a, account.mint_b, account.config, *_clmm_arrays(pool, account)]
    if isinstance(account, dlmm.LbPairAccount):
        return [account.mint_a, account.mint_b, *_bin_arrays(pool, account)]
    raise AccountError(f"the state of a {type(account).__name__} is not read", reason="value")


def _tick_arrays(pool: bytes, account: whirlpool.WhirlpoolAccount) -> list[bytes]:
    width, here = TICKS_PER_ARRAY * account.tick_spacing, array_start(account.tick, account.tick_spacing)
    starts = (here + place * width for place in range(-_AROUND, _AROUND + 1))
    return [derived_address((b"tick_array", pool, str(start).encode()), WHIRLPOOL) for start in starts]


def _clmm_arrays(pool: bytes, account: raydium_clmm.ClmmPoolAccount) -> list[bytes]:
    width = raydium_clmm.TICKS_PER_ARRAY * account.tick_spacing
    here = raydium_clmm.array_start(account.tick, account.tick_spacing)
    starts = (here + place * width for place in range(-_AROUND, _AROUND + 1))
    return [
        derived_address((b"tick_array", pool, start.to_bytes(4, "big", signed=True)), RAYDIUM_CLMM) for start in starts
    ]


def _around(here: int, width: int) -> tuple[int, int]:
    """The ticks of the arrays that are read, of ``width`` ticks each, the price's own beginning ``here``."""
    return max(here - _AROUND * width, -_MOST_TICK), min(here + (_AROUND + 1) * width - 1, _MOST_TICK)


def _bin_arrays(pool: bytes, account: dlmm.LbPairAccount) -> list[bytes]:
    here = account.active_id // dlmm.BINS_PER_ARRAY
    return [
        derived_address((b"bin_array", pool, index.to_bytes(8, "little", signed=True)), METEORA_DLMM)
        for index in range(here - _AROUND, here + _AROUND + 1)
    ]


def _state(pool: bytes, accounts: Mapping[bytes, RawAccount], updates: PoolUpdates) -> None:
    """Add the pool's row. Raises AccountError."""
    raw = accounts.get(pool)
    if raw is None:
        raise AccountError("the pool's account is gone", reason="value")
    account = decode(raw.owner, raw.data)
    if isinstance(account, whirlpool.WhirlpoolAccount):
        _check_mints(accounts, account.mint_a, account.mint_b)
        found = [one for one in _decoded(accounts, WHIRLPOOL) if isinstance(one, whirlpool.TickArrayAccount)]
        width = TICKS_PER_ARRAY * account.tick_spacing
        known = _around(array_start(account.tick, account.tick_spacing), width)
        state = replace(whirlpool_state(account, found), known_tick_lower=known[0], known_tick_upper=known[1])
        updates.whirlpools([WhirlpoolSnapshot(pool, account, state, len(found))])
    elif isinstance(account, raydium_clmm.ClmmPoolAccount):
        _check_mints(accounts, account.mint_a, account.mint_b)
        decoded = _decoded(accounts, RAYDIUM_CLMM)
        fees = next((one for one in decoded if isinstance(one, raydium_clmm.ClmmConfigAccount)), None)
        if fees is None:
            raise AccountError("the pool's configuration is gone", reason="value")
        ticks = [one for one in decoded if isinstance(one, raydium_clmm.ClmmTickArrayAccount)]
        width = raydium_clmm.TICKS_PER_ARRAY * account.tick_spacing
        here = raydium_clmm.array_start(account.tick, account.tick_spacing)
        updates.raydium_clmm(pool, account, fees, ticks, _around(here, width))
    elif isinstance(account, raydium_amm.AmmV4Account):
        _check_mints(accounts, account.mint_a, account.mint_b)
        updates.raydium_v4(pool, account, _balance(accounts, account.vault_a), _balance(accounts, account.vault_b))
    elif isinstance(account, raydium_amm.CpmmPoolAccount):
        _check_mints(accounts, account.mint_a, account.mint_b)
        config = next(
            (one for one in _decoded(accounts, RAYDIUM_CPMM) if isinstance(one, raydium_amm.CpmmConfigAccount)), None
        )
        if config is None:
            raise AccountError("the pool's configuration is gone", reason="value")
        vaults = _balance(accounts, account.vault_a), _balance(accounts, account.vault_b)
        updates.raydium_cpmm(pool, account, config, *vaults)
    elif isinstance(account, dlmm.LbPairAccount):
        _check_mints(accounts, account.mint_a, account.mint_b)
        arrays = [one for one in _decoded(accounts, METEORA_DLMM) if isinstance(one, dlmm.BinArrayAccount)]
        updates.dlmm(pool, account, arrays)


def _decoded(accounts: Mapping[bytes, RawAccount], program: bytes) -> list[Account]:
    return [decode(raw.owner, raw.data) for raw in accounts.values() if raw.owner == program]


def _balance(accounts: Mapping[bytes, RawAccount], vault: bytes) -> int:
    raw = accounts.get(vault)
    if raw is None or len(raw.data) < 72:
        raise AccountError("a vault is no token account", reason="value")
    return int.from_bytes(raw.data[64:72], "little")


def _check_mints(accounts: Mapping[bytes, RawAccount], *mints: bytes) -> None:
    """Raise AccountError for a mint that keeps a part of every transfer, or that was not answered."""
    for mint in mints:
        raw = accounts.get(mint)
        if raw is None:
            raise AccountError("a mint of the pool is gone", reason="value")
        if raw.owner == _TOKEN_2022 and _TRANSFER_FEE in _extensions(raw.data):
            raise AccountError("a mint keeps a part of every transfer: its pools are not covered", reason="value")


def _extensions(data: bytes) -> list[int]:
    """The kinds of a Token-2022 mint's extensions."""
    kinds, at = [], _EXTENSIONS
    while at + 4 <= len(data):
        kinds.append(int.from_bytes(data[at : at + 2], "little"))
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "little")
    return kinds
