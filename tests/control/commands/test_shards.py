"""Which shards there are, and who must answer."""

import pytest

from mevflow.control.commands import shards
from mevflow.control.commands.shards import LIVE_S, Deployed, Roll
from mevflow.v1.control_pb2 import Heartbeat
from tests.control.commands.made import command


@pytest.fixture
def roll(tmp_path):
    return Roll(tmp_path, tmp_path / "none.yaml")


def test_a_shard_is_live_while_it_is_heard(roll):
    roll.beat(Heartbeat(topology="t", shard=0))
    roll.beat(Heartbeat(topology="t", shard=1), age_s=LIVE_S + 1)
    roll.beat(Heartbeat(topology="t", shard=2, stopping=True))
    roll.beat(Heartbeat(topology="u", shard=0))
    assert set(roll.live()) == {("t", 0), ("u", 0)}
    assert roll.shards("t") == {("t", 0)}
    assert [(row.shard, row.state) for row in roll.status("t")] == [(0, "live"), (1, "lost"), (2, "stopping")]


def test_a_shard_that_was_heard_long_ago_is_gone_and_never_silent(roll):
    roll.beat(Heartbeat(topology="t", shard=0))
    roll.beat(Heartbeat(topology="t", shard=1, stopping=True), age_s=3_600)
    assert [(row.shard, row.state) for row in roll.status()] == [(0, "live")]


def test_what_was_not_heard_for_long_is_forgotten(roll):
    roll.beat(Heartbeat(topology="t", shard=0), age_s=10_000)
    assert not roll.live()
    assert roll.status() == []


def test_no_number_of_names_is_remembered_without_end(roll, monkeypatch):
    monkeypatch.setattr(shards, "MAX_SHARDS", 3)
    for shard in (*range(5), 2, 5, 6):
        roll.beat(Heartbeat(topology="t", shard=shard))
    assert roll.shards() == {("t", shard) for shard in (2, 5, 6)}
    for name in ("", "x" * 129):
        with pytest.raises(ValueError, match="name"):
            roll.beat(Heartbeat(topology=name))


def test_a_deployed_shard_must_answer_though_it_is_silent(roll):
    roll.deployed = {"t": Deployed("t", 2, {"found": "arbitrage.detect"}, "f")}
    assert roll.shards() == {("t", 0), ("t", 1)}
    assert [(row.state, row.heard_ms_ago) for row in roll.status()] == [("silent", -1)] * 2
    assert roll.knows("t")
    assert not roll.knows("u")


@pytest.mark.parametrize(
    ("target", "kind", "places"),
    [
        ("found", "policy", {("t", 0, "found")}),
        ("arbitrage.detect", "policy", {("t", 0, "found"), ("t", 0, "again")}),
        ("nobody", "policy", {("t", 0, "")}),
        ("", "kill", {("t", 0, "")}),
    ],
)
def test_who_must_answer(roll, target, kind, places):
    roll.deployed = {"t": Deployed("t", 1, {"found": "arbitrage.detect", "again": "arbitrage.detect"}, "f")}
    assert roll.expected(command(1, kind=kind, target=target)) == places


def test_a_topology_that_nobody_here_knows_answers_as_a_whole(roll):
    roll.beat(Heartbeat(topology="far", shard=3))
    assert roll.stages("far") is None
    assert roll.expected(command(1, topology="far")) == {("far", 3, "")}
