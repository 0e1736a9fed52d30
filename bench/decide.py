"""The decision stage alone: decisions a second on one core, by policy. The opportunities are synthetic.

Every row opens a new episode, so every row is decided on and settled with all of its output columns built; that
is more than a market gives. ``per_slot`` rows share a slot: a policy scores what lies between two settlements
at once, so fewer rows a slot cost more a decision.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.stage import StageContext
from mevflow.v1 import market_pb2 as market

_BATCH = 2_000
_TARGET = 50_000


def run(batches: int = 20, policy: str = "") -> dict[str, Any]:
    """Decisions a second of CPU time, beside the aim of 50,000."""
    figures = []
    for name in [policy] if policy else ["tip-linucb", "tip-thompson", "tip-epsilon"]:
        for per_slot in (5, 100):
            rate = _rate(name, per_slot, batches)
            figures.append(
                {
                    "name": f"{name}, {per_slot} opportunities a slot",
                    "value": round(rate),
                    "unit": "decisions/s of CPU",
                    "against": f"aim of {_TARGET:,}",
                    "ratio": round(rate / _TARGET, 2),
                }
            )
    return {"bench": "decide", "figures": figures}


def _rate(policy: str, per_slot: int, batches: int) -> float:
    stage = BanditDecide(BanditSettings(policy=policy), StageContext("bench", "decided"))
    feed = [_opportunities(index, per_slot) for index in range(batches + 1)]
    _decide(stage, feed[0])  # compiles, or loads what was compiled
    begun = time.process_time()
    made = sum(_decide(stage, batch) for batch in feed[1:])
    return made / (time.process_time() - begun)


def _decide(stage: BanditDecide, batch: pa.RecordBatch) -> int:
    return sum(out.num_rows for port, out in stage.process("in", batch) if port == "decisions")


def _opportunities(index: int, per_slot: int) -> pa.RecordBatch:
    """One batch: new episodes of two-leg cycles over 400 pools, 5 to 45 USD each."""
    schema = codec("mevflow.v1.Opportunity").located
    at = np.arange(_BATCH) + index * _BATCH
    slot = (100 + at // per_slot).astype(np.uint64)
    usd = 5.0 + at % 41
    net = pa.array([round(value * 1e6).to_bytes(16, "little") for value in usd.tolist()], pa.binary())
    legs = [
        [
            {
                "pool": bytes([leg]) + (i // 200**leg % 200).to_bytes(31, "little"),
                "mint_in": bytes([leg]) * 32,
                "mint_out": bytes([1 - leg]) * 32,
                "amount_in": b"",
                "amount_out": b"",
                "venue": market.VENUE_ORCA_WHIRLPOOL,
            }
            for leg in (0, 1)
        ]
        for i in at.tolist()
    ]
    given: dict[str, pa.Array] = {
        "opportunity_id": pa.array([int(i).to_bytes(16, "big") for i in at], pa.binary()),
        "chain": pa.array(np.full(_BATCH, market.CHAIN_SOLANA, np.int32)),
        "slot": pa.array(slot),
        "opened_slot": pa.array(slot),
        "timestamp_us": pa.array((slot * 400_000).astype(np.int64)),
        "legs": pa.array(legs, schema.field("legs").type),
        "gross_profit": net,
        "net_profit": net,
        "gross_profit_usd": pa.array(usd),
        "net_profit_usd": pa.array(usd),
        "log_rate": pa.array(usd / 1e4),
        "new_episode": pa.array(np.ones(_BATCH, np.bool_)),
        "source_topic": pa.array(["dex-swaps-proto"] * _BATCH)
        .dictionary_encode()
        .cast(schema.field("source_topic").type),
    }
    blank = {pa.binary(): b"", pa.utf8(): "", pa.bool_(): False}
    columns = [
        given[field.name] if field.name in given else pa.repeat(pa.scalar(blank.get(field.type, 0), field.type), _BATCH)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
