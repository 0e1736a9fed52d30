"""Files of accounts: one ``pubkey,base64`` line each, gzip-compressed, as orca-so publishes Whirlpool snapshots."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mevflow.operators.accounts import whirlpool
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.states import whirlpool_state
from mevflow.operators.addresses import decode_base58
from mevflow.operators.amm.concentrated.curve import ConcentratedState


@dataclass(frozen=True, slots=True)
class WhirlpoolSnapshot:
    """One pool of a snapshot: its address, its account, and the state that a quote takes."""

    pool: bytes
    account: whirlpool.WhirlpoolAccount
    state: ConcentratedState
    tick_arrays: int


def read_lines(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """(line number, address, data) of each account. Raises AccountError with file and line."""
    line = 0
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            for line, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                key, comma, data = text.strip().partition(",")
                if not comma:
                    raise ValueError("no comma")
                address = decode_base58(key, 32)
                if len(address) != 32:
                    raise ValueError(f"{key!r} is not an address")
                yield line, address, base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error, OSError, EOFError, zlib.error) as wrong:
        raise AccountError(
            f"not a line of pubkey,base64: {wrong}",
            hint="a snapshot is a gzip file of lines pubkey,base64",
            file=str(path),
            line=line or None,
            reason="value",
        ) from wrong


def read_whirlpools(path: Path) -> dict[bytes, WhirlpoolSnapshot]:
    """Every Whirlpool of a snapshot, by address, with its tick arrays; other accounts are passed over.

    Raises AccountError with file and line for a pool or a tick array that cannot be read.
    """
    pools: dict[bytes, whirlpool.WhirlpoolAccount] = {}
    arrays: dict[bytes, list[whirlpool.TickArrayAccount]] = defaultdict(list)
    for line, address, data in read_lines(path):
        try:
            if data[:8] == whirlpool.POOL:
                pools[address] = whirlpool.decode_pool(data)
            elif data[:8] in (whirlpool.FIXED_TICK_ARRAY, whirlpool.DYNAMIC_TICK_ARRAY):
                found = whirlpool.decode_tick_array(data)
                arrays[found.pool].append(found)
        except AccountError as wrong:
            wrong.file, wrong.line = str(path), line
            raise
    return {
        address: WhirlpoolSnapshot(address, account, whirlpool_state(account, arrays[address]), len(arrays[address]))
        for address, account in pools.items()
    }
