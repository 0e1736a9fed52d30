"""Pools whose rows tell both reserves, on a curve beside the book (``RESERVE_CURVES``): Aerodrome's stable pools.

What is not known is in ``doubt``, as of any pool of two reserves: nobody told its fee, or what it holds after an event;
or it was removed. The curve needs the tokens' decimals, which an update tells.
"""

from __future__ import annotations

from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.pools import DOUBT_FEE, DOUBT_STATE, REMOVED
from mevflow.operators.detect.told import SwapTold, UpdateTold
from mevflow.v1 import market_pb2 as market

_FEE, _REMOVE = market.PoolUpdate.KIND_FEE, market.PoolUpdate.KIND_REMOVE
_WHOLE = (market.PoolUpdate.KIND_CREATE, market.PoolUpdate.KIND_SNAPSHOT)


def after(book: Book, number: int, one: SwapTold | UpdateTold, kind: int | None) -> SolidlyState | None:
    """The state after a row; ``kind`` is an update's, None of a swap. The pool's row takes its fee and its doubts."""
    info, pool = book.info[number], book.pools[number]
    if one["fee_pips"] or kind == _FEE:
        pool["fee_pips"] = one["fee_pips"]
        pool["doubt"] &= ~DOUBT_FEE & 0xFF
    if kind == _REMOVE:
        pool["doubt"] |= REMOVED
    elif kind in _WHOLE:
        pool["doubt"] &= ~REMOVED & 0xFF
    told = _unsigned(one["reserve_a"]), _unsigned(one["reserve_b"])
    curve = info.curve if isinstance(info.curve, SolidlyState) else None
    if not all(told):
        if kind not in (_FEE, _REMOVE) or curve is None:
            pool["doubt"] |= DOUBT_STATE
            return None
        told = curve.reserve_a, curve.reserve_b
    if not any(info.decimals):
        pool["doubt"] |= DOUBT_STATE
        return None
    pool["doubt"] &= ~DOUBT_STATE & 0xFF
    units = 10 ** info.decimals[0], 10 ** info.decimals[1]
    return SolidlyState(*told, *units, int(pool["fee_pips"]))


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
