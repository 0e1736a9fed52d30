"""What the answers to a command come to."""

import pytest

from mevflow.control.commands.record import Entry, Tally
from mevflow.v1.control_pb2 import ControlAck
from mevflow.v1.control_service_pb2 import CommandReply
from tests.control.commands.made import ack, command

TWO = frozenset({("t", 0, "found"), ("t", 1, "found")})
REJECTED = ControlAck.REJECTED


def entry(*acks, expected=TWO, **more):
    made = Entry(command(1), expected, **more)
    for each in acks:
        made.answer(each)
    return made


@pytest.mark.parametrize(
    ("applied", "rejected", "missing", "quorum"),
    [
        (0, 0, 0, True), (1, 0, 0, True), (2, 1, 0, True), (1, 1, 0, False), (1, 0, 1, None),
        (2, 0, 1, True), (0, 2, 1, False), (1, 1, 1, None), (0, 0, 1, None), (0, 1, 1, False),
    ],
)  # fmt: skip
def test_quorum_is_more_than_half(applied, rejected, missing, quorum):
    tally = Tally(applied, rejected, missing)
    assert tally.expected == applied + rejected + missing
    assert tally.answered == (missing == 0)
    assert tally.quorum is quorum


@pytest.mark.parametrize(
    ("acks", "flags", "outcome"),
    [
        ((), {"open": True}, "PENDING"),
        ((), {}, "TIMED_OUT"),
        ((ack(1), ack(1, shard=1)), {"won": True}, "CONVERGED"),
        ((ack(1), ack(1, shard=1)), {}, "PENDING"),
        ((ack(1), ack(1, shard=1, status=ControlAck.DUPLICATE)), {"won": True}, "CONVERGED"),
        ((ack(1),), {"won": True}, "PARTIAL"),
        ((ack(1),), {"won": True, "open": True}, "PENDING"),
        ((ack(1), ack(1, shard=1, status=REJECTED)), {"won": True}, "PARTIAL"),
        ((ack(1, status=REJECTED), ack(1, shard=1, status=REJECTED)), {"won": True}, "REJECTED"),
        ((ack(1, status=REJECTED),), {}, "REJECTED"),
    ],
)
def test_outcome(acks, flags, outcome):
    assert CommandReply.Outcome.Name(entry(*acks, **flags).outcome()) == outcome


def test_a_rolled_back_command_says_so():
    back = Entry(command(2, version=2), frozenset({("t", 0, "found")}), won=True)
    former = entry(ack(1), ack(1, shard=1, status=REJECTED), won=True, rolled_back_by=back)
    assert former.outcome() == CommandReply.PARTIAL
    back.answer(ack(2))
    assert former.outcome() == CommandReply.ROLLED_BACK
    refused = entry(*(ack(1, shard=n, status=REJECTED) for n in (0, 1)), won=True, rolled_back_by=back)
    assert refused.outcome() == CommandReply.REJECTED


def test_a_shard_as_a_whole_answers_for_its_stage_and_a_stage_for_its_shard():
    assert entry(ack(1, stage=""), expected=frozenset({("t", 0, "found")})).tally() == Tally(1, 0, 0)
    assert entry(ack(1), expected=frozenset({("t", 0, "")})).tally() == Tally(1, 0, 0)
    assert entry(ack(1), ack(1, stage="decided"), expected=frozenset({("t", 0, "")})).tally() == Tally(2, 0, 0)


def test_the_same_answer_counts_once_and_a_new_run_speaks_for_itself():
    made = entry(ack(1), won=True)
    assert not made.answer(ack(1, status=REJECTED))
    assert made.answer(ack(1, status=REJECTED, run_id="later"))
    assert made.tally() == Tally(0, 1, 1)


def test_late_and_unexpected_answers_are_shown_as_such():
    made = entry(ack(1), open=True)
    made.close()
    made.answer(ack(1, shard=1))
    made.answer(ack(1, shard=7))
    shown = {answer.shard: (answer.late, answer.unexpected) for answer in made.reply().answers}
    assert shown == {0: (False, False), 1: (True, False), 7: (True, True)}
    assert made.reply(payload=False).payload == b""


async def test_news_wakes_who_waits():
    made = entry()
    assert not await made.news(0)
    import asyncio

    waiting = asyncio.create_task(made.news(30))
    await asyncio.sleep(0)
    made.answer(ack(1))
    assert await waiting
