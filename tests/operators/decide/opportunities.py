"""Made-up opportunity and swap streams for tests: episodes of cycles that open, change and close.

Synthetic, and called so: nothing here is recorded. The shape (fields, order, closing rows) is the detector's.
"""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.ids import stable_id
from mevflow.v1 import market_pb2 as market

OPPORTUNITY = codec("mevflow.v1.Opportunity").located
SWAP = codec("mevflow.v1.Swap").located
USDC, SOL = b"U" * 32, b"S" * 32


def number(value: int) -> bytes:
    """i128 in 16 bytes."""
    return value.to_bytes(16, "little", signed=True)


def pool(index: int) -> bytes:
    """A pool's address."""
    return bytes([index]) * 32


def opportunity(**given: Any) -> dict[str, Any]:
    """One located row; ``cycle`` (two pool numbers), ``usd`` and chain coordinates are what tests vary."""
    cycle: tuple[int, ...] = given.pop("cycle", (1, 2))
    usd: float = given.pop("usd", 10.0)
    slot: int = given.get("slot", 100)
    chain: int = given.get("chain", market.CHAIN_SOLANA)
    net = 0 if given.get("closed") else round(usd * 1e6)
    mints = [USDC, SOL] if len(cycle) == 2 else [USDC, SOL, b"O" * 32]
    row: dict[str, Any] = dict.fromkeys(OPPORTUNITY.names)
    row |= {
        "topology": "test",
        "run_id": "",
        "chain": chain,
        "slot": slot,
        "tx_index": 0,
        "ix_index": 0,
        "timestamp_us": slot * 400_000,
        "legs": [
            {
                "pool": pool(number_),
                "mint_in": mints[leg],
                "mint_out": mints[(leg + 1) % len(cycle)],
                "amount_in": number(1),
                "amount_out": number(1),
                "venue": market.VENUE_ORCA_WHIRLPOOL,
            }
            for leg, number_ in enumerate(cycle)
        ],
        "mint": USDC,
        "amount_in": number(1_000_000),
        "amount_out": number(1_000_000 + net),
        "gross_profit": number(net),
        "net_profit": number(net),
        "cost": number(0),
        "gross_profit_usd": usd,
        "net_profit_usd": usd,
        "log_rate": usd / 1000.0,
        "late": False,
        "new_episode": False,
        "opened_slot": slot,
        "ordinal": 0,
        "opened_us": slot * 400_000,
        "path": "USDC > SOL > USDC",
        "logic_version": 1,
        "closed": False,
        "source_topic": "dex-swaps-proto",
        "source_partition": 0,
        "source_offset": slot,
    }
    row |= given
    at = (chain, row["slot"], row["tx_index"], row["ix_index"], row["closed"])
    row.setdefault("opportunity_id", None)
    if row["opportunity_id"] is None:
        row["opportunity_id"] = stable_id("opportunity", *(int(part) for part in at), bytes(cycle))
    return row


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Rows as a batch."""
    return pa.RecordBatch.from_pylist(list(rows), schema=OPPORTUNITY)


def swap(slot: int, tx: int, ix: int, pool_: int, mint_in: bytes, signer: bytes = b"r" * 32, fee: int = 0) -> dict:
    """One located swap row."""
    row: dict[str, Any] = {
        field.name: b"" if pa.types.is_binary(field.type) else False if pa.types.is_boolean(field.type) else 0
        for field in SWAP
    }
    return row | {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "tx_index": tx,
        "ix_index": ix,
        "timestamp_us": slot * 400_000,
        "signer": signer,
        "pool": pool(pool_),
        "mint_in": mint_in,
        "mint_out": SOL if mint_in == USDC else USDC,
        "tip_lamports": fee,
        "source_topic": "dex-swaps-proto",
        "source_partition": 0,
        "source_offset": slot,
    }


def swaps(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Swap rows as a batch."""
    return pa.RecordBatch.from_pylist(list(rows), schema=SWAP)


def stream(count: int, seed: int = 1, chains: tuple[int, ...] = (market.CHAIN_SOLANA,)) -> pa.RecordBatch:
    """``count`` rows in chain order (interleaved between chains): cycles that open, change and close."""
    rng = random.Random(seed)
    slots = dict.fromkeys(chains, 100)
    tx = dict.fromkeys(chains, 0)
    opened: dict[tuple[int, tuple[int, ...]], int] = {}
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        chain = rng.choice(chains)
        if rng.random() < 0.4:
            slots[chain] += rng.choice((1, 1, 1, 2, 5))
            tx[chain] = 0
        tx[chain] += 1
        cycle = rng.choice([(1, 2), (2, 1), (3, 4), (1, 3, 4), (5, 6), (7, 8)])
        known = (chain, cycle) in opened
        closed = known and rng.random() < 0.3
        rows.append(
            opportunity(
                cycle=cycle,
                chain=chain,
                slot=slots[chain],
                tx_index=tx[chain],
                usd=0.0 if closed else round(rng.choice((0.5, 5.0, 50.0)) * rng.random(), 6) + 0.01,
                new_episode=not known,
                opened_slot=opened.setdefault((chain, cycle), slots[chain]),
                closed=closed,
                source_offset=len(rows),
                source_partition=rng.randrange(8),
            )
        )
        if closed:
            del opened[chain, cycle]
    return batch(*rows)


def swap_stream(found: pa.RecordBatch) -> pa.RecordBatch:
    """The swaps that could have made the events of ``found``: one a row, some as part of a round trip with a tip."""
    rows: list[dict[str, Any]] = []
    for row in found.to_pylist():
        first = row["legs"][0]["pool"][0]
        fee = 20_000_000 * (row["tx_index"] % 3)
        rows.append(swap(row["slot"], row["tx_index"], row["ix_index"], first, USDC, fee=fee))
        if row["tx_index"] % 2:
            rows.append(swap(row["slot"], row["tx_index"], 1, row["legs"][1]["pool"][0], SOL, fee=fee))
    return swaps(*rows)
