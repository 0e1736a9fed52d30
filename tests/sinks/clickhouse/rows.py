"""Batches for the ClickHouse sink's tests: messages with everything set, as the stages would give them."""

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.v1 import control_pb2, dead_letter_pb2, decision_pb2, market_pb2, realtime_pb2

#: 2022-04-06T00:00:00Z and 2024-01-05T00:00:00Z, the recorded days.
DAY_US = 1_649_203_200_000_000
OTHER_DAY_US = 1_704_412_800_000_000
POOL, MINT_A, MINT_B = b"p" * 32, b"a" * 32, b"b" * 32


def u128(number):
    return number.to_bytes(16, "little")


def i128(number):
    return number.to_bytes(16, "little", signed=True)


def batch_of(messages, first_offset=None, topic="swaps", partition=0):
    """One batch; with coordinates from ``first_offset`` on when it is given."""
    kind = codec(messages[0].DESCRIPTOR.full_name)
    plain = kind.decode(pa.array([message.SerializeToString() for message in messages], pa.binary()))
    if first_offset is None:
        return plain
    count = len(messages)
    coordinates = [
        pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), [topic]),
        pa.array([partition] * count, pa.int32()),
        pa.array(range(first_offset, first_offset + count), pa.int64()),
    ]
    return pa.RecordBatch.from_arrays([*plain.columns, *coordinates], schema=kind.located)


def swap(number, **more):
    fields = {
        "chain": 1,
        "slot": 1000 + number,
        "tx_index": number % 7,
        "timestamp_us": DAY_US + number * 1_000_000,
        "signature": number.to_bytes(64, "big"),
        "signer": b"q" * 32,
        "venue": 1,
        "pool": POOL,
        "mint_in": MINT_A,
        "mint_out": MINT_B,
        "amount_in": u128(number),
        "amount_out": u128((1 << 127) + number),
        "sqrt_price_x64": u128(1 << 64),
        "tick": -number,
        **more,
    }
    return market_pb2.Swap(**fields)


def opportunity(number, **more):
    leg = decision_pb2.Leg(pool=POOL, mint_in=MINT_A, mint_out=MINT_B, amount_in=u128(7), amount_out=u128(9), venue=1)
    fields = {
        "opportunity_id": number.to_bytes(16, "big"),
        "topology": "t",
        "chain": 1,
        "slot": 1000 + number,
        "timestamp_us": DAY_US + number * 1_000_000,
        "legs": [leg, leg],
        "mint": MINT_A,
        "amount_in": u128(1_000_000),
        "amount_out": u128(1_500_000),
        "gross_profit": i128(500_000),
        "net_profit": i128(-number),
        "net_profit_usd": 0.25,
        "new_episode": number % 2 == 0,
        "opened_slot": 1000,
        "opened_us": DAY_US,
        "path": "A > B > A",
        **more,
    }
    return decision_pb2.Opportunity(**fields)


def one_of_each():
    """One batch of every message that the sink takes."""
    ident = bytes(range(16))
    order = {"chain": 1, "slot": 5, "timestamp_us": DAY_US}
    decision = {"decision_id": ident, "topology": "t", "timestamp_us": DAY_US}
    tick = market_pb2.TickLiquidity(tick=-3, liquidity_net=i128(-5))
    return [
        batch_of([swap(1), swap(2, sqrt_price_x64=b"", chain=2, pool=b"p" * 20, signature=b"s" * 32)], 0),
        batch_of(
            [
                market_pb2.PoolUpdate(**order, pool=POOL, mint_a=MINT_A, mint_b=MINT_B, symbol_a="A", decimals_a=6,
                                      kind=4, ticks=[tick, tick]),
                market_pb2.PoolUpdate(**order, pool=b"x" * 32, sqrt_price_x96=b"\1" * 20, kind=2),
            ],
            0,
        ),
        batch_of([market_pb2.PriceTick(**order, mint=MINT_A, numeraire=MINT_B, price=1.5, source="pool")]),
        batch_of([market_pb2.Label(**order, kind="arbitrage", swap_ix=[1, 2], profit=i128(-1), group="g")]),
        batch_of([opportunity(1), opportunity(2, legs=[])]),
        batch_of([decision_pb2.Decision(**decision, features=[1.0, 2.0], arms=["a", "skip"], arm="skip", tip=u128(3))]),
        batch_of([decision_pb2.Outcome(**decision, kind="landed", realized_profit=i128(-9))]),
        batch_of([decision_pb2.Counterfactual(**decision, arm="a", estimator="dr", estimate_usd=0.5)]),
        batch_of([decision_pb2.Lineage(**decision, pools=[POOL, b"x" * 32], scores=[0.5], topic="swaps", offset=7)]),
        batch_of([decision_pb2.BanditEvent(**decision, kind="reward", features=[0.5], reward_usd=-0.5)]),
        batch_of([realtime_pb2.RealtimeMessage(channel="swaps", payload=b"\0\xff", timestamp_us=DAY_US)]),
        batch_of([control_pb2.ControlAck(command_id="c", topology="t", nonce=b"\1\2", status=2, timestamp_us=DAY_US)]),
        batch_of([control_pb2.ControlAudit(call_id="c", method="Kill", request=b"{}", timestamp_us=DAY_US)]),
        batch_of([dead_letter_pb2.DeadLetter(topic="x", reason="undecodable", payload=b"\xff", timestamp_us=DAY_US)]),
        batch_of([decision_pb2.ModelScore(opportunity_id=ident, model="m", score=0.5, timestamp_us=DAY_US)]),
        batch_of([decision_pb2.ModelEvent(kind="report", model="m", ordinal=3, timestamp_us=DAY_US)]),
    ]  # fmt: skip
