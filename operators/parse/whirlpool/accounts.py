"""Whirlpool accounts from their bytes: pools, tick arrays, positions, fee tiers.

Layouts (Anchor: 8 bytes of discriminator, then the fields, little-endian) as declared in orca-so/whirlpools,
``programs/whirlpool/src/state``. Recorded states are JSON: ``{"slot", "blockTime", "accounts": [{"pubkey", "data"}]}``
with ``data`` in base64.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from hashlib import sha256

import base58
import msgspec

from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.parse.errors import ParseError

_TICK_BYTES = 113
_TICKS = 88


def _discriminator(name: str) -> bytes:
    return sha256(f"account:{name}".encode()).digest()[:8]


_WHIRLPOOL = _discriminator("Whirlpool")
_TICK_ARRAY = _discriminator("TickArray")
_POSITION = _discriminator("Position")
_FEE_TIER = _discriminator("FeeTier")
_CONFIG = _discriminator("WhirlpoolsConfig")
_LENGTHS = {_WHIRLPOOL: 653, _TICK_ARRAY: 9988, _POSITION: 216, _FEE_TIER: 44, _CONFIG: 108}


@dataclass(frozen=True, slots=True)
class PoolAccount:
    """A pool as its account states it. ``fee_pips`` is the program's fee rate, hundredths of a basis point."""

    config: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    tick_spacing: int
    fee_pips: int
    protocol_fee_bps: int
    sqrt_price: int
    liquidity: int
    tick: int


@dataclass(frozen=True, slots=True)
class PositionAccount:
    """A position: whose range, how much."""

    pool: str
    lower: int
    upper: int
    liquidity: int


@dataclass(slots=True)
class Accounts:
    """Everything that a recorded state holds, by address."""

    slot: int
    pools: dict[str, PoolAccount] = field(default_factory=dict)
    positions: dict[str, PositionAccount] = field(default_factory=dict)
    #: Tick array -> (pool, first tick).
    tick_arrays: dict[str, tuple[str, int]] = field(default_factory=dict)
    #: Pool -> (tick, net, gross) of its initialized ticks.
    ticks: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    #: Fee tier -> fee of a new pool, in pips.
    fee_tiers: dict[str, int] = field(default_factory=dict)
    #: Config -> protocol fee of a new pool, in basis points of the fee.
    configs: dict[str, int] = field(default_factory=dict)

    def tick_map(self, pool: str) -> TickMap:
        """A fresh tick map of ``pool``."""
        return TickMap(self.ticks.get(pool, []))


class _Account(msgspec.Struct):
    pubkey: str
    data: str


class _State(msgspec.Struct):
    slot: int
    accounts: list[_Account]


def read_accounts(document: bytes) -> Accounts:
    """Decode a recorded state. Accounts of other kinds are left out. Raises ParseError."""
    try:
        state = msgspec.json.decode(document, type=_State)
        found = Accounts(state.slot)
        arrays: list[tuple[str, int, bytes]] = []
        for account in state.accounts:
            data = base64.b64decode(account.data, validate=True)
            kind = data[:8]
            if kind in _LENGTHS and len(data) < _LENGTHS[kind]:
                raise ParseError(f"account {account.pubkey} has {len(data)} bytes, not {_LENGTHS[kind]}")
            if kind == _WHIRLPOOL:
                found.pools[account.pubkey] = _pool(data)
            elif kind == _POSITION:
                found.positions[account.pubkey] = _position(data)
            elif kind == _TICK_ARRAY:
                pool, first = _key(data, 9956), struct.unpack_from("<i", data, 8)[0]
                found.tick_arrays[account.pubkey] = pool, first
                arrays.append((pool, first, data))
            elif kind == _FEE_TIER:
                found.fee_tiers[account.pubkey] = struct.unpack_from("<H", data, 42)[0]
            elif kind == _CONFIG:
                found.configs[account.pubkey] = struct.unpack_from("<H", data, 104)[0]
    except (msgspec.DecodeError, binascii.Error, UnicodeError, RecursionError) as wrong:
        raise ParseError(f"not a recorded Whirlpool state: {wrong}") from wrong
    for pool, first, data in arrays:
        if pool not in found.pools:
            raise ParseError(f"a tick array belongs to {pool}, which the state does not hold")
        spacing = found.pools[pool].tick_spacing
        found.ticks.setdefault(pool, []).extend(_ticks(data, first, spacing))
    return found


def _key(data: bytes, at: int) -> str:
    return base58.b58encode(data[at : at + 32]).decode()


def _u128(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 16], "little")


def _pool(data: bytes) -> PoolAccount:
    spacing, _, fee, protocol = struct.unpack_from("<HHHH", data, 41)
    return PoolAccount(
        config=_key(data, 8),
        mint_a=_key(data, 101),
        mint_b=_key(data, 181),
        vault_a=_key(data, 133),
        vault_b=_key(data, 213),
        tick_spacing=spacing,
        fee_pips=fee,
        protocol_fee_bps=protocol,
        sqrt_price=_u128(data, 65),
        liquidity=_u128(data, 49),
        tick=struct.unpack_from("<i", data, 81)[0],
    )


def _position(data: bytes) -> PositionAccount:
    lower, upper = struct.unpack_from("<ii", data, 88)
    return PositionAccount(pool=_key(data, 8), lower=lower, upper=upper, liquidity=_u128(data, 72))


def _ticks(data: bytes, first: int, spacing: int) -> list[tuple[int, int, int]]:
    """(tick, net, gross) of the initialized ticks of one array."""
    found = []
    for index in range(_TICKS):
        at = 12 + index * _TICK_BYTES
        if data[at]:
            net = int.from_bytes(data[at + 1 : at + 17], "little", signed=True)
            found.append((first + index * spacing, net, _u128(data, at + 17)))
    return found
