"""What counts as a closed route, and what does not."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.label.arbitrage import Arbitrage, arbitrages
from mevflow.operators.label.trade import Trade
from tests.operators.label.trades import trade, word


def places(found: list[Arbitrage]) -> list[list[int]]:
    return [[one.place[-1] for one in cycle.trades] for cycle in found]


def test_there_and_back_through_two_pools() -> None:
    [found] = arbitrages([trade("A>B", (100, 200), "p", 0), trade("B>A", (200, 103), "q", 1)])
    assert (found.start_amount, found.end_amount, found.profit, found.token) == (100, 103, 3, word("A"))
    assert not found.unseen


def test_a_cycle_at_a_loss_is_a_cycle() -> None:
    [found] = arbitrages([trade("A>B", (100, 200), "p", 0), trade("B>A", (200, 97), "q", 1)])
    assert found.profit == -3


def test_a_routed_swap_is_none() -> None:
    assert not arbitrages([trade("A>B", (100, 200), "p", 0), trade("B>C", (200, 300), "q", 1)], unseen_pct=10)


@pytest.mark.parametrize(
    "second",
    [
        trade("B>A", (200, 103), "p", 1),  # the pool that it came from
        trade("B>A", (203, 103), "q", 1),  # another amount
    ],
    ids=["same pool", "other amount"],
)
def test_no_route(second: Trade) -> None:
    assert not arbitrages([trade("A>B", (100, 200), "p", 0), second], unseen_pct=10)


def test_pools_pay_one_another() -> None:
    """Uniswap v2 style: each pool sends to the next; the bot sees the first and the last."""
    swaps = [
        trade("A>B", (100, 200), "p", 3, hands="bot>q"),
        trade("B>C", (200, 300), "q", 4, hands="p>r"),
        trade("C>A", (300, 110), "r", 5, hands="q>bot"),
    ]
    assert places(arbitrages(swaps)) == [[3, 4, 5]]


def test_the_bot_holds_the_tokens_in_between() -> None:
    swaps = [trade(*leg, hands="bot>bot") for leg in (("B>C", (200, 300), "q", 1), ("C>A", (300, 110), "r", 2))]
    first = trade("A>B", (100, 200), "p", 0, hands="bot>bot")
    assert places(arbitrages([*swaps, first])) == [[0, 1, 2]]


def test_hands_that_do_not_meet() -> None:
    swaps = [trade("A>B", (100, 200), "p", 0, hands="bot>vault"), trade("B>A", (200, 110), "q", 1, hands="other>bot")]
    assert not arbitrages(swaps)


def test_what_comes_back_to_another_account_is_no_arbitrage() -> None:
    swaps = [trade("A>B", (100, 200), "p", 0, hands="bot>bot"), trade("B>A", (200, 110), "q", 1, hands="bot>heir")]
    assert not arbitrages(swaps)


def test_a_flash_swap_is_called_before_what_pays_for_it() -> None:
    swaps = [
        trade("B>A", (200, 110), "q", (0,), hands="p>bot"),
        trade("A>B", (100, 200), "p", (0, 2, 0), hands="bot>q"),
    ]
    [found] = arbitrages(swaps)
    assert [one.pool for one in found.trades] == [b"p", b"q"]
    assert found.profit == 10


def test_two_cycles_of_one_transaction() -> None:
    swaps = [
        trade("A>B", (100, 200), "p", 0),
        trade("B>A", (200, 103), "q", 1),
        trade("C>D", (70, 10), "r", 2),
        trade("D>C", (10, 75), "s", 3),
    ]
    assert places(arbitrages(swaps)) == [[0, 1], [2, 3]]


def test_a_route_may_pass_its_token_twice() -> None:
    """A figure of eight, handed from pool to pool, is one route; with the bot in the middle it is two."""
    eight = [("A>B", (100, 200), "p"), ("B>A", (200, 104), "q"), ("A>C", (104, 30), "r"), ("C>A", (30, 109), "s")]
    hands = ["bot>q", "p>r", "q>s", "r>bot"]
    handed = [trade(*leg, at, hands=hand) for at, (leg, hand) in enumerate(zip(eight, hands, strict=True))]
    assert places(arbitrages(handed)) == [[0, 1, 2, 3]]
    held = [trade(*leg, at, hands="bot>bot") for at, leg in enumerate(eight)]
    assert places(arbitrages(held)) == [[0, 1], [2, 3]]


def test_the_way_to_a_cycle_and_back_is_not_part_of_it() -> None:
    """A>B and B>A on one pool only reach the cycle B>C>D>B."""
    swaps = [
        trade("A>B", (100, 200), "p", 0),
        trade("B>C", (200, 300), "q", 1),
        trade("C>D", (300, 400), "r", 2),
        trade("D>B", (400, 210), "s", 3),
        trade("B>A", (210, 104), "p", 4),
    ]
    [found] = arbitrages(swaps)
    assert found.token == b"B"
    assert places([found]) == [[1, 2, 3]]


def test_a_leg_split_over_two_pools() -> None:
    swaps = [
        trade("A>B", (60, 121), "p", 0),
        trade("A>B", (40, 80), "q", 1),
        trade("B>A", (201, 104), "r", 2),
    ]
    [found] = arbitrages(swaps)
    assert (found.start_amount, found.end_amount) == (100, 104)
    assert places([found]) == [[0, 1, 2]]


def test_a_closing_leg_split_over_two_pools() -> None:
    swaps = [
        trade("A>B", (100, 200), "p", 0),
        trade("B>A", (150, 78), "q", 1),
        trade("B>A", (50, 26), "r", 2),
    ]
    [found] = arbitrages(swaps)
    assert (found.start_amount, found.end_amount, found.profit) == (100, 104, 4)


def test_a_split_that_does_not_close() -> None:
    assert not arbitrages([trade("A>B", (60, 121), "p", 0), trade("A>B", (40, 80), "q", 1)], unseen_pct=10)


def test_a_leg_that_the_data_do_not_hold() -> None:
    swaps = [trade("A>B", (520, 398), "p", 0), trade("C>A", (417, 524), "q", 1)]
    assert not arbitrages(swaps)
    [found] = arbitrages(swaps, unseen_pct=10)
    assert found.unseen
    assert (found.start_amount, found.profit) == (520, 4)
    assert not arbitrages([swaps[0], trade("C>A", (417, 624), "q", 1)], unseen_pct=10)


def test_legs_before_and_after_the_gap_belong_to_the_route() -> None:
    swaps = [
        trade("A>B", (100, 200), "p", 0),
        trade("B>C", (200, 300), "q", 1),
        trade("D>E", (400, 500), "r", 2),
        trade("E>A", (500, 101), "s", 3),
    ]
    assert places(arbitrages(swaps, unseen_pct=10)) == [[0, 1, 2, 3]]


def test_amounts_of_nothing() -> None:
    assert not arbitrages([trade("A>B", (0, 0), "p", 0), trade("B>A", (0, 0), "q", 1)], unseen_pct=10)


def test_trading_in_circles_does_not_hang() -> None:
    """Hundreds of swaps back and forth over few pools, amounts alike (flashbots/mev-inspect-py issue 323)."""
    swaps = [
        trade("A>B" if i % 2 else "B>A", (1000 + i % 7, 1000 - i % 5), f"p{i % 3}", i, hands="bot>bot")
        for i in range(600)
    ]
    begin = time.perf_counter()
    found = arbitrages(swaps)
    assert time.perf_counter() - begin < 10
    taken = [one.place for cycle in found for one in cycle.trades]
    assert len(taken) == len(set(taken))


LEGS = st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.integers(1, 300), st.integers(1, 300))


@given(st.lists(LEGS, max_size=12), st.integers(0, 20), st.randoms())
def test_every_route_is_closed_and_uses_a_swap_once(
    legs: list[tuple[str, str, int, int]], unseen: int, shuffled: random.Random
) -> None:
    swaps = [trade(f"{a}>{b}", (x, y), f"p{i % 4}", i) for i, (a, b, x, y) in enumerate(legs) if a != b]
    found = arbitrages(swaps, unseen)
    taken = [one.place for cycle in found for one in cycle.trades]
    assert len(taken) == len(set(taken))
    for cycle in found:
        first, last = cycle.trades[0], cycle.trades[-1]
        assert first.token_in == last.token_out
        assert cycle.profit == cycle.end_amount - cycle.start_amount
        assert unseen or not cycle.unseen
    shuffled.shuffle(swaps)
    assert arbitrages(swaps, unseen) == found
