"""The table of the stage contract suite: how to make each stage, and what to feed it.

To plug a stage in, write a function that returns a :class:`StageCase` and add it to CASES.
"""

from __future__ import annotations

import pyarrow as pa

from mevflow.operators.codec import RAW
from mevflow.operators.decide import emit
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.ids import stable_id
from mevflow.operators.learn import POLICIES
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.realtime import RealtimeWrap, WrapSettings
from mevflow.operators.stage import StageContext, Watermark
from mevflow.testing import END, Item, StageCase
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import batch, opportunity, stream, swap_stream
from tests.operators.decide.test_told import outcome
from tests.operators.detect import feeding
from tests.operators.detect.market_messages import batch as messages
from tests.operators.detect.market_messages import pair_market, swap, u128
from tests.operators.detect.random_market import START_US, RandomMarket
from tests.operators.label import swap_rows


def context(node: str) -> StageContext:
    """A live run of shard 0."""
    return StageContext(topology="contract", node=node)


def decode_case() -> StageCase:
    """``decode`` with swaps, and with bytes that are none."""

    def raw(values: list[bytes]) -> pa.RecordBatch:
        topics = pa.DictionaryArray.from_arrays(pa.array([0] * len(values), pa.int8()), pa.array(["dex-swaps-proto"]))
        columns = [
            pa.array(values, pa.binary()),
            pa.array(range(len(values)), pa.int64()),
            topics,
            pa.array([i % 8 for i in range(len(values))], pa.int32()),
            pa.array(range(len(values)), pa.int64()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=RAW)

    def good(count: int) -> list[bytes]:
        return [market.Swap(slot=i + 1, pool=bytes([i % 7]) * 32).SerializeToString() for i in range(count)]

    broken = [b"\xff\xff\xff", b"", b"\x0a\x7fshort"]
    return StageCase(
        name="decode",
        make=lambda: Decode(DecodeSettings(message="mevflow.v1.Swap"), context("decoded")),
        feed=lambda: [("in", raw(good(50))), ("in", raw(good(7))), ("in", END)],
        bad_feed=lambda: [("in", raw([*good(5), *broken, *good(5)])), ("in", END)],
        bad_rows=len(broken),
    )


def decide_case(policy: str) -> StageCase:
    """``bandit.decide`` over two chains without swaps."""
    chains = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)
    bad = [
        opportunity(slot=101, opportunity_id=b"short"),
        opportunity(slot=101, log_rate=float("nan")),
        opportunity(slot=101, chain=99, opportunity_id=b"c" * 16),
        opportunity(slot=101, net_profit=b"\x01", opportunity_id=b"n" * 16),
    ]
    good = [opportunity(slot=100, new_episode=True), opportunity(slot=102, usd=3.0)]
    return StageCase(
        name=f"bandit.decide {policy}",
        # A detector so nervous that learning starts anew several times within the feed.
        make=lambda: BanditDecide(
            BanditSettings(policy=policy, exploration=0.2, drift_threshold=1.0, on_drift="relearn"),
            context("decided"),
        ),
        feed=lambda: [("in", stream(400, seed=3, chains=chains)), ("in", END)],
        bad_feed=lambda: [("in", batch(good[0], *bad, good[1])), ("in", END)],
        bad_rows=len(bad),
    )


def decide_with_swaps_case() -> StageCase:
    """``bandit.decide`` with swaps of one chain, in turns with the opportunities of the same events."""

    def feed() -> list[Item]:
        found = stream(300, seed=5)
        items: list[Item] = []
        for start in range(0, found.num_rows, 60):
            part = found.slice(start, 60)
            items += [("swaps", swap_stream(part)), ("in", part)]
            # Upstream says after each poll that it has given everything of these events.
            items += [("in", Watermark(part.column("timestamp_us")[-1].as_py()))]
        return [*items, ("swaps", END), ("in", END)]

    return StageCase(
        name="bandit.decide with swaps",
        make=lambda: BanditDecide(BanditSettings(exploration=0.2), context("decided")),
        feed=feed,
    )


def decide_with_outcomes_case() -> StageCase:
    """``bandit.decide`` with measured outcomes that come on time, before their decision, twice, and as corrections."""
    inputs = frozenset({"in", "outcomes"})

    def feed() -> list[Item]:
        found = stream(300, seed=6)
        ids = [stable_id("decision", "decided", row) for row in found.column("opportunity_id").to_pylist()]
        items: list[Item] = []
        for start in range(0, 300, 60):
            # The outcomes of the rows before, of these, and of some to come.
            near = [identifier for i, identifier in enumerate(ids) if start - 90 <= i < start + 90 and i % 3]
            told = [
                outcome(identifier, ("landed", "missed")[i % 2], 0.1 * (i % 7), revision=start // 60)
                for i, identifier in enumerate(near)
            ]
            items += [
                ("in", found.slice(start, 60)),
                ("outcomes", pa.RecordBatch.from_pylist(told, schema=emit.OUTCOME)),
            ]
        return [*items, ("in", END)]

    return StageCase(
        name="bandit.decide with outcomes",
        make=lambda: BanditDecide(
            BanditSettings(
                exploration=0.5, attribution={"keep": 40, "window_slots": 12}, plausible={"max_rate_pct": 0.5}
            ),
            StageContext("contract", "decided", inputs=inputs),
        ),
        feed=feed,
    )


def detect_case() -> StageCase:
    """``arbitrage.detect`` over pools of every kind, in two stretches; and with swaps that cannot be."""
    # Said twice: a restored stage waits until it has heard from every input again.
    half = [("updates", Watermark(START_US + 1_010 * 500_000)), ("swaps", Watermark(START_US + 1_010 * 500_000))] * 2
    bad = [swap(2, b"p", (1, 1), amount_in=b"\1"), swap(3, b"n", (1, 1), mint_in=b""), swap(3, b"p", (1, 1), chain=0)]
    good = [*pair_market(), swap(6, b"p", (10**12, 10**11), reserve_a=u128(10**13))]

    def feed() -> list[Item]:
        return [
            *feeding.items(RandomMarket(2, pools=7, events=60).batches()),
            *half,
            *[("updates", END), ("swaps", END)] * 2,
        ]

    return StageCase(
        name="arbitrage.detect",
        make=lambda: feeding.make(),
        feed=feed,
        bad_feed=lambda: [*feeding.items([messages(*good[:2], *bad, *good[2:])]), ("updates", END), ("swaps", END)],
        bad_rows=len(bad),
    )


def label_case() -> StageCase:
    """``label`` over two chains and two partitions, in three stretches; and with swaps that cannot be."""

    def stretch(first: int) -> list[Item]:
        rows = [
            row
            for slot in range(first, first + 4)
            for chain in (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)
            for row in (
                *swap_rows.arbitrage(slot, 0, chain=chain, offset=slot),
                *swap_rows.sandwich(slot, 1, chain=chain, offset=slot),
            )
        ]
        # By partition, as a source gives them: each in order, one after the other.
        return [("in", swap_rows.batch(rows[part::2])) for part in (0, 1)]

    waiting = ("in", Watermark(6 * swap_rows.SLOT_US))
    good = swap_rows.arbitrage(3, 0)
    bad = [
        swap_rows.swap(3, 1, 0, "A>B", (1, 1), "p", chain=0),
        swap_rows.swap(3, 2, 0, "A>B", (1, 1), ""),
        swap_rows.swap(3, 3, 0, "A>A", (1, 1), "p"),
        {**swap_rows.swap(3, 4, 0, "A>B", (1, 1), "p"), "amount_out": b""},
    ]
    return StageCase(
        name="label",
        make=swap_rows.make,
        feed=lambda: [*stretch(1), waiting, *stretch(5), ("in", swap_rows.CAUGHT_UP), *stretch(9), ("in", END)],
        bad_feed=lambda: [("in", swap_rows.batch([good[0], *bad, good[1]])), ("in", END)],
        bad_rows=len(bad),
    )


def model_case(target: str, pipeline: str, tree: str = "", **settings: object) -> StageCase:
    """``river.model`` over one of two chains. A ``tree`` ends the pipeline; it is small, so that it is grown soon."""
    chains = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)
    bad = [
        opportunity(slot=101, opportunity_id=b"short"),
        opportunity(slot=101, log_rate=float("nan"), opportunity_id=b"l" * 16),
    ]
    good = [opportunity(slot=100, new_episode=True), opportunity(slot=104, usd=3.0, opportunity_id=b"g" * 16)]
    champion = [*pipeline.split(" | "), {tree: {"max_depth": 1}}] if tree else pipeline
    given = {
        "chain": "solana",
        "target": target,
        "champion": champion,
        "report_every": 20,
        "delay_slots": 3,
        **settings,
    }
    found = stream(160, seed=4, chains=chains)
    ids, of_chain = found.column("opportunity_id").to_pylist(), found.column("chain").to_pylist()
    told = [
        {
            **outcome(stable_id("d", row), ("landed", "missed", "skipped")[i % 3], 0.1),
            "opportunity_id": row,
            "chain": chain,
        }
        for i, (row, chain) in enumerate(zip(ids, of_chain, strict=True))
    ]

    def feed() -> list[Item]:
        if target != "landed":
            return [("in", found), ("in", END)]
        items: list[Item] = []
        for start in range(0, 160, 40):
            items += [
                ("in", found.slice(start, 40)),
                ("outcomes", pa.RecordBatch.from_pylist(told[start : start + 30], schema=emit.OUTCOME)),
            ]
        return [*items, ("outcomes", END), ("in", END)]

    return StageCase(
        name=f"river.model {target} {pipeline} {tree}",
        make=lambda: RiverModel(ModelSettings.model_validate(given), context("scored")),
        feed=feed,
        bad_feed=None if target == "landed" else lambda: [("in", batch(good[0], *bad, good[1])), ("in", END)],
        bad_rows=len(bad),
    )


def wrap_case() -> StageCase:
    """``realtime.wrap`` with rows that have legs, and closing ones among them."""
    return StageCase(
        name="realtime.wrap",
        make=lambda: RealtimeWrap(WrapSettings(channel="found"), context("wrapped")),
        feed=lambda: [("in", stream(60, seed=9)), ("in", stream(9, seed=10)), ("in", END)],
    )


CASES = [
    decode_case(),
    wrap_case(),
    detect_case(),
    label_case(),
    *(decide_case(policy) for policy in POLICIES),
    decide_with_swaps_case(),
    decide_with_outcomes_case(),
    decide_case("tip-auction"),
    model_case(
        "survives",
        "StandardScaler | LogisticRegression",
        challengers={"fast": ["StandardScaler", {"LogisticRegression": {"lr": 0.5}}]},
        on_drift="shadow-reset",
    ),
    model_case("survives", "LogisticRegression", learn_batch=7, on_drift="fallback"),
    model_case("survives", "StandardScaler", "HoeffdingAdaptiveTreeClassifier"),
    model_case("decay", "StandardScaler", "HoeffdingAdaptiveTreeRegressor"),
    model_case("landed", "MinMaxScaler | LogisticRegression", delay_slots=20),
]
