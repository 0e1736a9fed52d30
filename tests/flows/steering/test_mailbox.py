"""Versions are judged at the mailbox: stale, taken, duplicate, rejected again."""

import pytest

from mevflow.flows.steering.mailbox import NOWHERE, Mailbox, Order
from mevflow.operators.stage import Ack
from mevflow.v1.control_pb2 import ControlCommand

PLACE = ("swaps", 1, 7)


class Told:
    """A stage that answers what its list says, and notes what it was told."""

    use = "test.told"

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    def on_control(self, command):
        self.seen.append((command.command_id, command.payload))
        return self.answers.pop(0) if self.answers else Ack("APPLIED")


def command(name, version, nonce=None, target="found"):
    nonce = name.encode() if nonce is None else nonce
    return ControlCommand(
        command_id=name, topology="t", kind="policy", target=target, version=version, nonce=nonce, payload=b"p"
    )


@pytest.fixture
def post():
    answers, done = [], []
    box = Mailbox(
        "found", lambda c, stage, ack, at: answers.append((c.command_id, stage, ack, at)), lambda *o: done.append(o)
    )
    return box, answers, done


def through(post, stage, *letters):
    box, answers, _ = post
    for letter in letters:
        box.put(letter)
    box.drain(stage, PLACE)
    assert not box
    return [(name, ack.status, ack.reason) for name, _, ack, _ in answers]


def test_versions_rise(post):
    stage = Told()
    letters = [command("a", 2), command("b", 1), command("c", 2), command("a2", 2, b"a"), command("d", 3)]
    assert through(post, stage, *letters) == [
        ("a", "APPLIED", ""),
        ("b", "STALE", "version"),
        ("c", "REJECTED", "version_taken"),
        ("a2", "DUPLICATE", ""),
        ("d", "APPLIED", ""),
    ]
    assert stage.seen == [("a", b"p"), ("d", b"p")]
    assert {at for _, _, _, at in post[1]} == {PLACE}


def test_what_was_rejected_is_rejected_again_and_leaves_what_is_held(post):
    stage = Told(Ack("APPLIED"), Ack("REJECTED", "bad"))
    letters = [command("a", 1), command("b", 2), command("b2", 2, b"b"), command("a2", 1, b"a"), command("c", 2)]
    assert through(post, stage, *letters) == [
        ("a", "APPLIED", ""),
        ("b", "REJECTED", "bad"),
        ("b2", "REJECTED", "bad"),
        ("a2", "DUPLICATE", ""),
        ("c", "APPLIED", ""),
    ]


def test_a_stage_that_takes_no_commands_rejects_them(post):
    assert through(post, Told(None), command("a", 1)) == [("a", "REJECTED", "not_steerable")]


def test_keys_have_their_own_versions(post):
    found = through(post, Told(), command("a", 5), command("b", 1, target="other"))
    assert [status for _, status, _ in found] == ["APPLIED", "APPLIED"]


@pytest.mark.parametrize(("seen", "place"), [(Ack("APPLIED"), PLACE), (None, NOWHERE)])
def test_an_order_of_the_shard_is_carried_out_not_judged(post, seen, place):
    _, answers, done = post
    order = Order(command("k", 1), Ack("APPLIED"), {"found"}, off=b"pool:x")
    stage = Told(seen)
    through(post, stage, order)
    assert stage.seen == [("k", b"pool:x")]
    assert done == [(order, "found", place)]
    assert answers == []
