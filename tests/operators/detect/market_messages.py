"""Messages of a hand-made market: constant-product pools on Solana, one event a slot."""

from __future__ import annotations

import pyarrow as pa
from google.protobuf.message import Message

from mevflow.operators.codec import codec
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.random_market import SOL, START_US, USDC

SLOT_US = 400_000


def batch(*messages: Message) -> pa.RecordBatch:
    """Messages of one type as columns."""
    values = pa.array([message.SerializeToString() for message in messages], pa.binary())
    return codec(messages[0].DESCRIPTOR.full_name).decode(values)


def u128(value: int) -> bytes:
    """As amounts are on the wire."""
    return value.to_bytes(16, "little")


def swap(
    slot: int,
    pool: bytes,
    reserves: tuple[int, int],
    mints: tuple[bytes, bytes] = (SOL, USDC),
    fee_pips: int = 2_500,
    **changes: object,
) -> market.Swap:
    """A swap that leaves ``reserves`` of SOL and USDC; ``changes`` replace fields."""
    fields: dict[str, object] = {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "timestamp_us": START_US + slot * SLOT_US,
        "pool": pool * 32 if len(pool) == 1 else pool,
        "mint_in": mints[0],
        "mint_out": mints[1],
        "a_to_b": True,
        "amount_in": u128(1),
        "amount_out": u128(1),
        "reserve_a": u128(reserves[0]),
        "reserve_b": u128(reserves[1]),
        "fee_pips": fee_pips,
    }
    return market.Swap(**{**fields, **changes})


def pair_market() -> list[market.Swap]:
    """Two SOL/USDC pools: in line, 2 % apart, further apart, in line again; a dear dollar's worth a SOL each way."""
    sol = 10**12
    return [
        swap(1, b"p", (sol, 100_000 * 10**6)),
        swap(2, b"q", (sol, 100_000 * 10**6)),
        swap(3, b"p", (sol, 102_000 * 10**6)),
        swap(4, b"q", (sol, 99_000 * 10**6)),
        swap(5, b"p", (sol, 99_100 * 10**6)),
    ]
