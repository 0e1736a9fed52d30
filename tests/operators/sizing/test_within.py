"""Cycles sized in compiled code against the search in Python's integers: the same amounts to the unit."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_raydium, tick_math_x64, tick_math_x96
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.detect.book.pools import POOL_DTYPE, set_words
from mevflow.operators.detect.report import sizes
from mevflow.operators.detect.report.cycles import NO_LEG, FoundCycles, States
from mevflow.operators.detect.report.sizes import sized
from mevflow.operators.detect.screen.cycles import MAX_LEGS
from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_CONSTANT_PRODUCT
from mevflow.operators.sizing.size import size
from mevflow.operators.sizing.venues import kind_of
from mevflow.v1 import market_pb2 as market

_WORDS = {"price": 24, "liquidity": 16, "reserve_a": 16, "reserve_b": 16}
#: Every venue of its kind, those that go by their state too.
_X96 = [venue for venue in market.Venue.values() if kind_of(venue, False, True) == KIND_CONCENTRATED_X96]
_X64 = [venue for venue in market.Venue.values() if kind_of(venue, True, False) == KIND_CONCENTRATED_X64]
_PAIRS = [venue for venue in market.Venue.values() if kind_of(venue, False, False) == KIND_CONSTANT_PRODUCT]


@st.composite
def _pools(draw):
    """A row of the book, near a price of e**tilt; some of them hold next to nothing, some almost all that fits."""
    row = np.zeros(1, POOL_DTYPE)[0]
    tilt, much = draw(st.floats(-0.02, 0.02)), draw(st.integers(2, 100))
    row["fee_pips"], row["tick_spacing"] = draw(st.sampled_from([0, 1, 100, 500, 3_000, 10_000])), 1
    ticks = None
    if draw(st.booleans()):
        row["venue"], row["kind"] = draw(st.sampled_from(_PAIRS)), KIND_CONSTANT_PRODUCT
        held = draw(st.integers(1 << much, (2 << much) - 1))
        amounts = {"reserve_a": held, "reserve_b": max(int(held * np.exp(tilt)), 1)}
    else:
        wide = draw(st.booleans())
        venue = draw(st.sampled_from(_X96 if wide else _X64))
        row["venue"], row["kind"] = venue, KIND_CONCENTRATED_X96 if wide else KIND_CONCENTRATED_X64
        maths = tick_math_x96 if wide else tick_math_raydium if venue == market.VENUE_RAYDIUM_CLMM else tick_math_x64
        spacing = draw(st.sampled_from([1, 10, 60, 128]))
        tick = int(tilt / np.log(1.0001)) + draw(st.sampled_from([0, 0, -200_000, 200_000]))
        low, high = maths.price_at(tick), maths.price_at(tick + 1)
        row["tick"], row["tick_spacing"] = tick, spacing
        reach = draw(st.sampled_from([-1, 0, 5, 100]))
        row["known_lower"], row["known_upper"] = tick - reach * spacing, tick + reach * spacing
        amounts = {"price": draw(st.integers(low, high - 1)), "liquidity": draw(st.integers(1, 1 << much))}
        at = sorted({tick // spacing * spacing + step * spacing for step in draw(st.lists(st.integers(-4, 5)))})
        ticks = TickMap((each, 0, 1) for each in at)
    for name, amount in amounts.items():
        set_words(row[name], amount.to_bytes(_WORDS[name], "little"))
    return row, ticks


def _price(row):
    """B per A."""
    if row["kind"] == KIND_CONSTANT_PRODUCT:
        a, b = (sum(float(word) * 2.0 ** (64 * at) for at, word in enumerate(row[f"reserve_{side}"])) for side in "ab")
        return b / a
    root = sum(float(word) * 2.0 ** (64 * at) for at, word in enumerate(row["price"]))
    return (root / 2.0 ** (64 if row["kind"] == KIND_CONCENTRATED_X64 else 96)) ** 2


@st.composite
def _cycles(draw):
    """A few cycles over pools of their own; most of two pools are the way round that may pay."""
    cycles = []
    for count in draw(st.lists(st.sampled_from([2, 2, 2, 3, MAX_LEGS]), min_size=1, max_size=4)):
        pools = [draw(_pools()) for _ in range(count)]
        ways = [draw(st.booleans()) for _ in pools]
        if count == 2:
            ways = [(rich := _price(pools[0][0]) > _price(pools[1][0])), not rich]
        cycles.append([(*pool, way) for pool, way in zip(pools, ways, strict=True)])
    return cycles


def _hits(cycles):
    """The cycles as the detector has them: the book's maps, hits of which some are turned, and their legs' states."""
    count = len(cycles)
    states = np.zeros((count, MAX_LEGS), POOL_DTYPE)
    legs, turn = np.full((count, MAX_LEGS), NO_LEG, np.int32), np.zeros((count, MAX_LEGS), np.uint8)
    info = []
    for hit, cycle in enumerate(cycles):
        for leg, (row, ticks, a_to_b) in enumerate(cycle):
            place = turn[hit, leg] = (hit + leg) % len(cycle)
            states[hit, place] = row
            legs[hit, leg] = 2 * len(info) + a_to_b
            info.append(SimpleNamespace(ticks=ticks))
    counts, none = np.array([len(cycle) for cycle in cycles]), np.zeros(count)
    found = FoundCycles(np.zeros(count, np.int64), counts, legs, turn, none, none, none)
    return SimpleNamespace(info=info), found, states


def _sized(book, found, states):
    """The amounts of each hit, None where nothing is gained."""
    words, gained = sized(book, found, states, lambda event: 0)
    amounts: list[list[int] | None] = []
    for row, legs, gain in zip(words.tolist(), found.legs.tolist(), gained.tolist(), strict=True):
        each = [low | high << 64 for low, high in row[: legs + 1]]
        assert not gain or gain == float(each[-1] - each[0])
        amounts.append(each if gain else None)
    return amounts


@settings(max_examples=200)
@given(_cycles())
def test_amounts_are_those_of_the_search(cycles):
    book, found, states = _hits(cycles)
    exact = States(book, states)
    assert _sized(book, found, states) == [size(exact.legs(found, hit, 0)) for hit in range(len(cycles))]


def _plain(venue, kind, fee, **amounts):
    row = np.zeros(1, POOL_DTYPE)[0]
    row["venue"], row["kind"], row["fee_pips"], row["tick_spacing"] = venue, kind, fee, 64
    row["known_lower"], row["known_upper"] = 1, 0
    for name, amount in amounts.items():
        set_words(row[name], amount.to_bytes(_WORDS[name], "little"))
    return row


def test_common_cycles_are_not_left_to_the_search(monkeypatch):
    """Of each kind one that pays: nothing of it is asked of Python's integers."""
    monkeypatch.setattr(sizes, "size", None)
    one, much = 1 << 64, 50_000_000_000_000
    whirlpool = _plain(1, KIND_CONCENTRATED_X64, 300, price=one + one // 2_000, liquidity=much)
    clmm = _plain(6, KIND_CONCENTRATED_X64, 300, price=one + one // 700, liquidity=much)
    uniswap = _plain(3, KIND_CONCENTRATED_X96, 500, price=(1 << 96) + (1 << 96) // 500, liquidity=much)
    for venue in _PAIRS:
        pair = _plain(venue, KIND_CONSTANT_PRODUCT, 100, reserve_a=much, reserve_b=much)
        for other in (whirlpool, clmm, uniswap):
            for way in (True, False):
                # Where B per A is above 1, A is sold: what comes out buys A in the pair.
                cycle = [(other, None, True), (pair, None, False)]
                book, found, states = _hits([cycle if way else cycle[::-1]])
                (amounts,) = _sized(book, found, states)
                assert amounts is not None, (venue, way)
                assert amounts[-1] > amounts[0] > 1_000
