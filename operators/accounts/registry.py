"""Which account a piece of data is, by the program that owns it and by its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import base58

from mevflow.operators.accounts import dlmm, raydium_amm, raydium_clmm, whirlpool
from mevflow.operators.accounts.errors import AccountError

Account: TypeAlias = (
    whirlpool.WhirlpoolAccount
    | whirlpool.TickArrayAccount
    | raydium_clmm.ClmmPoolAccount
    | raydium_clmm.ClmmTickArrayAccount
    | raydium_clmm.ClmmConfigAccount
    | raydium_amm.AmmV4Account
    | raydium_amm.CpmmPoolAccount
    | raydium_amm.CpmmConfigAccount
    | dlmm.LbPairAccount
    | dlmm.BinArrayAccount
)

WHIRLPOOL = base58.b58decode("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc")
RAYDIUM_CLMM = base58.b58decode("CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK")
RAYDIUM_AMM_V4 = base58.b58decode("675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8")
RAYDIUM_CPMM = base58.b58decode("CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C")
METEORA_DLMM = base58.b58decode("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo")

#: Program -> first eight bytes -> decoder. Two Raydium programs share names, so the program must be known.
_DECODERS: dict[bytes, dict[bytes, Callable[[bytes], Account]]] = {
    WHIRLPOOL: {
        whirlpool.POOL: whirlpool.decode_pool,
        whirlpool.FIXED_TICK_ARRAY: whirlpool.decode_tick_array,
        whirlpool.DYNAMIC_TICK_ARRAY: whirlpool.decode_tick_array,
    },
    RAYDIUM_CLMM: {
        raydium_clmm.POOL: raydium_clmm.decode_pool,
        raydium_clmm.TICK_ARRAY: raydium_clmm.decode_tick_array,
        raydium_clmm.CONFIG: raydium_clmm.decode_config,
    },
    RAYDIUM_CPMM: {
        raydium_amm.CPMM_POOL: raydium_amm.decode_cpmm_pool,
        raydium_amm.CPMM_CONFIG: raydium_amm.decode_cpmm_config,
    },
    METEORA_DLMM: {
        dlmm.PAIR: dlmm.decode_pair,
        dlmm.BIN_ARRAY: dlmm.decode_bin_array,
    },
}


def decode(program: bytes, data: bytes) -> Account:
    """Read the account ``data`` that ``program`` (32 bytes) owns. Raises AccountError."""
    if program == RAYDIUM_AMM_V4:
        return raydium_amm.decode_amm_v4(data)
    if program not in _DECODERS:
        raise AccountError(f"no decoder for accounts of program {base58.b58encode(program).decode()}", reason="unknown")
    known = _DECODERS[program]
    decoder = known.get(data[:8])
    if decoder is None:
        first = data[:8].hex() or "nothing"
        raise AccountError(
            f"an account of program {base58.b58encode(program).decode()} begins with {first}", reason="unknown"
        )
    return decoder(data)
