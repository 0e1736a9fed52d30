"""Instructions after which a pool charges another fee, or nobody can swap in it.

A fee that no row can carry, and a pool that is closed to swaps, is given as removed: only a snapshot of its accounts
brings it back. Layouts: raydium-io/raydium-clmm and raydium-cp-swap (``instructions/admin``), raydium-io/raydium-amm
(``SetParams``), MeteoraAg/dlmm-sdk (``dlmm.json``), orca-so/whirlpools.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mevflow.operators.accounts.raydium_amm import SWAP_STATUS
from mevflow.operators.amm.concentrated.curve import PIPS
from mevflow.operators.parse.changes import FeeTerms, Memory, PoolInstruction, StateChange
from mevflow.v1 import market_pb2 as market

_FEE, _REMOVE, _UNSPECIFIED = (
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_REMOVE,
    market.PoolUpdate.KIND_UNSPECIFIED,
)
_Read = Callable[[PoolInstruction], StateChange | None]
#: Of ``update_amm_config``: which of a configuration's numbers, and where it is among the accounts.
_TRADE_FEE, _CREATOR_FEE = 0, 7
CONFIG_PLACE = 1
#: Of AMM v4's ``AmmParams``; what was 9 is 2 since the program left the order book, and 2 was eight bytes before.
_STATUS, _FEES_NOW, _OPEN_TIME_NOW, _FEES, _OPEN_TIME = 0, 2, 3, 9, 11
_FEES_BYTES = 64


def uncarried(pool: int) -> _Read:
    """The pool now charges what no row can carry."""
    return lambda instruction: StateChange(_REMOVE, instruction.key(pool))


def status(pool: int, closed: int) -> _Read:
    """The pool is closed to swaps when any bit of ``closed`` is set."""

    def call(instruction: PoolInstruction) -> StateChange | None:
        told = instruction.arguments("status").u8()
        return StateChange(_REMOVE, instruction.key(pool)) if told & closed else None

    return call


def config(size: int) -> _Read:
    """The fee of all pools of a configuration, in ``size`` bytes; a creator's fee is of those that have a creator."""

    def call(instruction: PoolInstruction) -> StateChange | None:
        read = instruction.arguments("configuration")
        param, value = read.u8(), read.uint(size)
        if param not in (_TRADE_FEE, _CREATOR_FEE):
            return None
        fields = {"fee_pips": value} if param == _TRADE_FEE else {}
        return StateChange(_FEE, fields=fields, config=instruction.key(CONFIG_PLACE))

    return call


def whirlpool_fee(instruction: PoolInstruction) -> StateChange:
    """``set_fee_rate``."""
    fee = instruction.arguments("set_fee_rate").u16()
    return StateChange(_FEE, instruction.key(1), {"fee_pips": fee})


def amm_v4_params(instruction: PoolInstruction) -> StateChange | None:
    """``SetParams``: a status, a time before which nobody swaps, or fees, of which the last two of eight numbers."""
    read = instruction.arguments("SetParams", 1)
    param, pool = read.u8(), 1
    fees = param == _FEES or (param == _FEES_NOW and len(instruction.data) >= read.at + _FEES_BYTES)
    if param == _STATUS:
        return None if read.u64() in SWAP_STATUS else StateChange(_REMOVE, instruction.key(pool))
    if param in (_OPEN_TIME_NOW, _OPEN_TIME):
        return StateChange(_REMOVE, instruction.key(pool)) if read.u64() else None
    if not fees:
        return None
    read.skip(8 * 6)
    numerator, denominator = read.u64(), read.u64()
    read.require(0 <= numerator < denominator, f"a fee of {numerator}/{denominator}")
    if numerator * PIPS % denominator:
        return StateChange(_REMOVE, instruction.key(pool))
    return StateChange(_FEE, instruction.key(pool), {"fee_pips": numerator * PIPS // denominator})


def unsaid(pool: int) -> _Read:
    """The pool's reserves changed, and nothing says to what: its next swap does."""
    return lambda instruction: StateChange(_UNSPECIFIED, instruction.key(pool))


def of_config(venue: int, change: StateChange, memory: Memory) -> list[dict[str, Any]]:
    """What another fee of a configuration makes of each pool that has it.

    Only of a pool that has no fee beside it is the new one told; any other may charge more.
    """
    told, rows = change.fields.get("fee_pips"), []
    for pool, terms in memory.pools_of(change.config, venue):
        if told is not None and terms is not FeeTerms.UNKNOWN:
            rows.append({"venue": venue, "pool": pool, "kind": _FEE, "fee_pips": told})
        elif terms is not FeeTerms.FOR_EVER:
            rows.append({"venue": venue, "pool": pool, "kind": _REMOVE})
    return rows
