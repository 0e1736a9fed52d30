"""What counts as a sandwich, and what only looks like one."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.label.sandwich import Sandwich, sandwiches
from mevflow.operators.label.trade import Trade
from tests.operators.label.trades import trade, word

FRONT = trade("A>B", (1000, 500), "p", tx=1, signer="bot")
VICTIM = trade("A>B", (300, 140), "p", tx=2, signer="user")
BACK = trade("B>A", (500, 1020), "p", tx=3, signer="bot")


def found(*trades: Trade, shared: str = "", pct: int = 25) -> list[Sandwich]:
    return sandwiches(trades, frozenset({word(shared)} if shared else ()), pct)


def test_front_victim_back() -> None:
    [one] = found(FRONT, VICTIM, BACK)
    assert (one.front, one.victims, one.back) == (FRONT, (VICTIM,), BACK)
    assert (one.start_amount, one.end_amount, one.profit, one.token) == (1000, 1020, 20, word("A"))


def test_nobody_in_between() -> None:
    assert not found(FRONT, BACK)
    assert not found(FRONT, BACK, trade("A>B", (300, 140), "p", tx=4, signer="user"))
    assert not found(FRONT, BACK, trade("A>B", (300, 140), "p", tx=1, at=1, signer="user"))


def test_victims_go_the_front_runs_way_on_its_pool() -> None:
    assert not found(FRONT, BACK, trade("B>A", (300, 140), "p", tx=2, signer="user"))
    assert not found(FRONT, BACK, trade("A>B", (300, 140), "q", tx=2, signer="user"))
    assert not found(FRONT, BACK, trade("A>C", (300, 140), "p", tx=2, signer="user"))


def test_who_front_ran_is_who_comes_back() -> None:
    assert not found(FRONT, VICTIM, trade("B>A", (500, 1020), "p", tx=3, signer="other"))
    unsigned = [trade("A>B", (1000, 500), "p", tx=1), VICTIM, trade("B>A", (500, 1020), "p", tx=3)]
    assert not found(*unsigned)


def test_within_one_transaction_it_is_none() -> None:
    assert not found(FRONT, VICTIM, trade("B>A", (500, 1020), "p", tx=1, at=9, signer="bot"))


def test_accounts_say_more_than_the_signer() -> None:
    front = trade("A>B", (1000, 500), "p", tx=1, hands="router>bot")
    back = trade("B>A", (500, 1020), "p", tx=3, hands="bot>router")
    assert found(front, trade("A>B", (300, 140), "p", tx=2, hands="router>user"), back)
    assert not found(front, trade("A>B", (300, 140), "p", tx=2, hands="router>bot"), back)


def test_own_swaps_are_no_victims() -> None:
    again = trade("A>B", (300, 140), "p", tx=2, signer="bot")
    [one] = found(FRONT, again, VICTIM, BACK)
    assert one.victims == (VICTIM,)


def test_a_router_is_many_people() -> None:
    front, back = (
        trade("A>B", (1000, 500), "p", tx=1, signer="router"),
        trade("B>A", (400, 815), "p", tx=3, signer="router"),  # sold at 2.04, bought at 2
    )
    assert found(front, VICTIM, back)
    assert not found(front, VICTIM, back, shared="router")
    same = trade("B>A", (500, 1020), "p", tx=3, signer="router")
    assert found(front, VICTIM, same, shared="router")
    assert not found(front, VICTIM, trade("B>A", (499, 1020), "p", tx=3, signer="router"), shared="router")


def test_other_amounts_must_have_gained() -> None:
    """Who trades both ways at other sizes and loses by it is no sandwicher; at the same size it is one that failed."""
    assert not found(FRONT, VICTIM, trade("B>A", (400, 795), "p", tx=3, signer="bot"))
    [failed] = found(FRONT, VICTIM, trade("B>A", (500, 990), "p", tx=3, signer="bot"))
    assert failed.profit == -10


def test_amounts_of_another_order_do_not_belong_together() -> None:
    assert not found(FRONT, VICTIM, trade("B>A", (100, 204), "p", tx=3, signer="bot"))
    assert found(FRONT, VICTIM, trade("B>A", (100, 204), "p", tx=3, signer="bot"), pct=20)


def test_what_is_traded_on_top_is_no_profit() -> None:
    """flashbots/mev-inspect-py issue 283."""
    [one] = found(FRONT, VICTIM, trade("B>A", (1500, 3060), "p", tx=3, signer="bot"))
    assert (one.end_amount, one.profit) == (1020, 20)
    [kept] = found(FRONT, VICTIM, trade("B>A", (490, 1000), "p", tx=3, signer="bot"))
    assert kept.profit == 0


def test_two_in_one_block() -> None:
    later = [
        trade("A>B", (1000, 500), "p", tx=4, signer="bot"),
        trade("A>B", (300, 140), "p", tx=5, signer="user"),
        trade("B>A", (500, 1020), "p", tx=6, signer="bot"),
    ]
    both = found(FRONT, VICTIM, BACK, *later)
    assert [one.front.tx_index for one in both] == [1, 4]
    assert [one.back.tx_index for one in both] == [3, 6]


SWAPS = st.tuples(st.sampled_from(["A>B", "B>A"]), st.sampled_from("pq"), st.sampled_from(["x", "y", "z"]))


@given(st.lists(SWAPS, max_size=14), st.randoms())
def test_each_is_ordered_and_no_swap_backs_two(swaps: list[tuple[str, str, str]], shuffled: random.Random) -> None:
    trades = [trade(way, (100, 100), pool, tx=i // 2, at=i % 2, signer=who) for i, (way, pool, who) in enumerate(swaps)]
    ordered = found(*trades)
    backs = [(one.back.tx_index, one.back.place) for one in ordered]
    assert len(backs) == len(set(backs))
    for one in ordered:
        assert one.victims
        assert one.front.signer == one.back.signer
        for victim in one.victims:
            assert one.front.tx_index < victim.tx_index < one.back.tx_index
            assert victim.token_in == one.front.token_in
            assert victim.pool == one.front.pool == one.back.pool
            assert victim.signer != one.front.signer
    shuffled.shuffle(trades)
    assert found(*trades) == ordered


def test_a_back_run_in_two_halves() -> None:
    halves = [trade("B>A", (250, 515), "p", tx=3, at=at, signer="bot") for at in (0, 1)]
    [one] = found(FRONT, VICTIM, *halves)
    assert (one.backs, one.profit, one.victims) == (tuple(halves), 30, (VICTIM,))
    apart = [halves[0], trade("B>A", (251, 510), "p", tx=5, signer="bot")]
    [one] = found(FRONT, VICTIM, trade("A>B", (9, 5), "p", tx=4, signer="user"), *apart)
    assert (one.backs, one.profit, one.victims) == (tuple(apart), 25, (VICTIM,))


def test_a_front_run_in_two_halves() -> None:
    halves = [trade("A>B", (400, 210), "p", tx=1, at=at, signer="bot") for at in (0, 1)]
    back = trade("B>A", (420, 830), "p", tx=3, signer="bot")
    [one] = found(*halves, VICTIM, back)
    assert (one.fronts, one.victims, one.back, one.profit) == (tuple(halves), (VICTIM,), back, 30)
    between = trade("A>B", (9, 5), "p", tx=2, signer="user")
    apart = [halves[0], between, trade("A>B", (410, 210), "p", tx=3, signer="bot")]
    last = trade("A>B", (300, 140), "p", tx=4, signer="other")
    backs = [trade("B>A", (200, 395), "p", tx=5, signer="bot"), trade("B>A", (220, 440), "p", tx=6, signer="bot")]
    [one] = found(*apart, last, *backs)
    assert (one.fronts, one.backs) == ((apart[0], apart[2]), tuple(backs))
    assert (one.victims, one.profit) == ((between, last), 25)


def test_one_front_run_goes_before_halves_and_a_router_has_none() -> None:
    halves = [trade("A>B", (400, 210), "p", tx=1, at=at, signer="bot") for at in (0, 1)]
    [one] = found(*halves, VICTIM, trade("B>A", (210, 415), "p", tx=3, signer="bot"))
    assert (one.fronts, one.profit) == (tuple(halves[:1]), 15)
    assert not found(*halves, VICTIM, trade("B>A", (420, 830), "p", tx=3, signer="bot"), shared="bot")


def test_a_whole_back_run_goes_before_parts_of_another_size() -> None:
    [one] = found(
        FRONT,
        VICTIM,
        trade("B>A", (200, 410), "p", tx=3, signer="bot"),
        trade("B>A", (500, 1020), "p", tx=4, signer="bot"),
    )
    assert (one.back.amount_in, one.rest) == (500, ())


def test_a_pool_is_nobody() -> None:
    front = trade("A>B", (1000, 500), "p", tx=1, hands="x>q")
    back = trade("B>A", (500, 1020), "p", tx=3, hands="q>z")
    through = trade("B>C", (500, 900), "q", tx=1, at=1, hands="p>x")
    assert found(front, VICTIM, back)
    assert not found(front, through, VICTIM, back)
