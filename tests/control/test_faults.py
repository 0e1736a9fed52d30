"""Shards that misbehave, services that die, clocks that differ: each has one outcome (docs/control.md)."""

import asyncio
import time

import pytest

from mevflow.control.refusal import Refused
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.service import Service
from mevflow.flows.steering.protocol import COMMANDS
from mevflow.v1 import control_service_pb2 as pb
from tests.control.conftest import ANN

OUTCOME = pb.CommandReply.Outcome.Name


def nothing(command):
    return []


def refuse(command):
    return [(0.0, "REJECTED", "out_of_bounds")]


async def status_of(handlers, command_id):
    reply = await handlers.status(pb.StatusRequest(command_id=command_id), ANN)
    return reply.commands[0]


async def ended_with(shard, command_id):
    return shard.seen[-1].command_id == command_id


async def wait_for(what):
    async with asyncio.timeout(60):
        while not await what():
            await asyncio.sleep(0.05)


async def test_never_acks_times_out_alone_and_is_partial_beside_one_that_has_it(make_shard, apply, heard, topology):
    make_shard(nothing, shard=0)
    await heard(topology)
    reply = await apply(wait_ms=300)
    assert (OUTCOME(reply.outcome), reply.missing) == ("TIMED_OUT", 1)
    make_shard(shard=1)
    await heard(topology, 2)
    reply = await apply(wait_ms=300)
    assert (OUTCOME(reply.outcome), reply.applied, reply.missing) == ("PARTIAL", 1, 1)
    assert [a.status for a in reply.answers] == ["", "APPLIED"]


async def test_a_late_ack_updates_the_status_and_is_an_event(make_shard, apply, heard, topology, handlers, service):
    make_shard(lambda command: [(1.0, "APPLIED", "")])
    await heard(topology)
    start = service.events.next
    reply = await apply(wait_ms=200)
    assert OUTCOME(reply.outcome) == "TIMED_OUT"

    async def converged():
        return (await status_of(handlers, reply.command_id)).outcome == pb.CommandReply.CONVERGED

    await wait_for(converged)
    assert (await status_of(handlers, reply.command_id)).answers[0].late
    async with asyncio.timeout(60):
        async for event in handlers.watch(pb.WatchRequest(from_offset=start, topology=topology), ANN):
            if event.record.method == "Outcome":
                break
    assert (event.record.command_id, event.record.outcome) == (reply.command_id, "CONVERGED")


async def test_acks_twice_counts_once(make_shard, apply, heard, topology):
    make_shard(lambda command: [(0.0, "APPLIED", ""), (0.0, "APPLIED", ""), (0.05, "DUPLICATE", "")])
    await heard(topology)
    reply = await apply()
    await asyncio.sleep(0.2)
    assert (OUTCOME(reply.outcome), reply.expected, reply.applied) == ("CONVERGED", 1, 1)


async def test_a_refusal_is_rejected_alone_and_partial_beside_one_that_has_it(make_shard, apply, heard, topology):
    make_shard(refuse, shard=0)
    await heard(topology)
    reply = await apply()
    assert (OUTCOME(reply.outcome), reply.answers[0].reason) == ("REJECTED", "out_of_bounds")
    make_shard(shard=1)
    await heard(topology, 2)
    assert OUTCOME((await apply()).outcome) == "PARTIAL"


async def test_what_every_shard_refuses_does_not_stay_in_force(make_shard, apply, heard, topology, handlers, settings):
    picky = [(0.0, "REJECTED", "out_of_bounds")]
    make_shard(lambda c: picky if b"9.000" in c.payload else [(0.0, "APPLIED", "")], shard=0)
    make_shard(lambda c: picky if b"9.000" in c.payload else [(0.0, "APPLIED", "")], shard=1)
    await heard(topology, 2)
    await apply(0.5)
    reply = await apply(9.0)
    assert (OUTCOME(reply.outcome), reply.version, reply.rejected) == ("REJECTED", 2, 2)
    assert reply.note == "version 1 is set again as version 3"
    status = await handlers.status(pb.StatusRequest(topology=topology), ANN)
    (held,) = (c for c in status.commands if c.topology)
    assert (held.version, OUTCOME(held.outcome), held.payload) == (3, "CONVERGED", b'{"min_profit_usd": 0.500}')
    assert (await status_of(handlers, reply.command_id)).outcome == pb.CommandReply.REJECTED
    async with Service(settings) as another:  # and it is what the log says
        current = another.ledger.in_force(topology, "policy", "found").current
        assert current.command.payload == b'{"min_profit_usd": 0.500}'


async def test_a_refusal_rolls_the_others_back_when_asked(make_shard, apply, heard, topology, handlers):
    picky = [(0.0, "REJECTED", "out_of_bounds")]
    good = make_shard(shard=0)
    make_shard(lambda c: picky if b"9.000" in c.payload else [(0.0, "APPLIED", "")], shard=1)
    await heard(topology, 2)
    await apply(0.5)
    reply = await apply(9.0, rollback=True)
    assert (OUTCOME(reply.outcome), reply.version, reply.applied, reply.rejected) == ("ROLLED_BACK", 2, 1, 1)
    assert [(c.version, c.payload) for c in good.seen][1:] == [
        (2, b'{"min_profit_usd": 9.000}'),
        (3, b'{"min_profit_usd": 0.500}'),
    ]
    assert good.seen[2].rolled_back_from == reply.command_id
    status = await handlers.status(pb.StatusRequest(topology=topology), ANN)
    (held,) = (c for c in status.commands if c.topology)
    assert (held.version, held.rolled_back_from, held.payload) == (3, reply.command_id, b'{"min_profit_usd": 0.500}')


async def test_dies_between_apply_and_ack_and_says_so_when_it_is_back(make_shard, apply, heard, topology, handlers):
    shard = make_shard(nothing)  # it applied, and died before it could say so
    await heard(topology)
    reply = await apply(wait_ms=200)
    assert OUTCOME(reply.outcome) == "TIMED_OUT"
    await asyncio.to_thread(shard.die)
    shard.will = lambda command: [(0.0, "DUPLICATE", "")]  # its snapshot had it
    await asyncio.to_thread(shard.restart)

    async def converged():
        return (await status_of(handlers, reply.command_id)).outcome == pb.CommandReply.CONVERGED

    await wait_for(converged)
    (answer,) = (await status_of(handlers, reply.command_id)).answers
    assert (answer.status, answer.run_id, answer.late) == ("DUPLICATE", shard.run_id, True)


async def test_quorum_does_not_wait_for_the_last(make_shard, apply, heard, topology):
    for shard in range(3):
        make_shard(nothing if shard == 2 else None, shard=shard)
    await heard(topology, 3)
    began = time.monotonic()
    reply = await apply(ack="QUORUM", wait_ms=20_000)
    assert time.monotonic() - began < 10
    assert (OUTCOME(reply.outcome), reply.applied, reply.missing) == ("PARTIAL", 2, 1)


async def test_ack_none_answers_at_once(make_shard, apply, heard, topology):
    make_shard(nothing)
    await heard(topology)
    reply = await apply(ack="NONE")
    assert (OUTCOME(reply.outcome), reply.version, reply.offset >= 0) == ("PENDING", 1, True)


async def test_a_service_that_is_killed_is_survived_by_what_it_was_told(make_shard, apply, heard, topology, settings):
    shard = make_shard(nothing)
    await heard(topology)
    first = await apply(0.7, idempotency_key="once", wait_ms=100)
    # Another service, that knows nothing but the topics; the answer came while there was no caller.
    await asyncio.to_thread(shard.ack, shard.seen[-1])
    await asyncio.to_thread(shard._producer.flush, 10)
    async with Service(settings) as other:
        handlers = Handlers(other)
        request = pb.ApplyRequest(
            topology=topology,
            target="found",
            payload=b'{"min_profit_usd": 0.700}',
            delivery=pb.Delivery(idempotency_key="once", wait_ms=3_000),
        )
        again = await handlers.apply(request, ANN)
        assert (again.replayed, again.command_id, again.version) == (True, first.command_id, 1)
        assert OUTCOME(again.outcome) == "CONVERGED"
        history = await handlers.history(pb.HistoryRequest(topology=topology), ANN)
        assert [(c.version, c.payload) for c in history.commands] == [(1, b'{"min_profit_usd": 0.700}')]


async def test_of_two_services_the_lower_offset_wins(make_shard, heard, topology, settings, service):
    shard = make_shard()
    await heard(topology)
    async with Service(settings) as other:
        calls = []
        for each, profit in ((service, b"1"), (other, b"2")):
            request = pb.ApplyRequest(topology=topology, target="found", payload=b'{"min_profit_usd": %s}' % profit)
            calls.append(Handlers(each).apply(request, ANN))
        results = await asyncio.gather(*calls, return_exceptions=True)
        lost = [r for r in results if isinstance(r, Refused)]
        won = [r for r in results if isinstance(r, pb.CommandReply)]
        assert len(lost) <= 1  # or one was so late that it saw the other's version, and took the next
        if lost:
            assert (lost[0].code, lost[0].reason) == ("ABORTED", "VERSION_TAKEN")
            assert lost[0].metadata["winner"] == won[0].command_id
            # The log ends with the winner, whatever compaction leaves of it.
            await wait_for(lambda: ended_with(shard, won[0].command_id))
        for each in (service, other):
            held = each.ledger.in_force(topology, "policy", "found")
            assert held.current.command.command_id == max(won, key=lambda r: r.version).command_id


async def test_expiry_is_judged_on_the_records_time_not_on_a_shards_clock(make_shard, apply, heard, topology):
    shard = make_shard()
    await heard(topology)
    reply = await apply(ttl_ms=60_000)
    command = shard.seen[-1]
    assert command.expires_at_us - command.issued_at_us == 60_000_000
    assert reply.expires_at_us == command.expires_at_us
    # The record's own time is the time of issue: a shard whose clock is off judges like all others.
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": shard.bootstrap, "group.id": "skew", "log_level": 0})
    consumer.assign([TopicPartition(COMMANDS, 0, reply.offset)])
    message = await asyncio.to_thread(consumer.poll, 10)
    assert message.timestamp()[1] == command.issued_at_us // 1000
    consumer.close()


async def test_a_shard_whose_clock_is_an_hour_off_is_still_live(make_shard, apply, heard, topology, monkeypatch):
    real = time.time_ns
    monkeypatch.setattr("tests.control.conftest.time.time_ns", lambda: real() - 3_600 * 10**9)
    make_shard()
    await heard(topology)
    assert OUTCOME((await apply()).outcome) == "CONVERGED"


@pytest.mark.parametrize("stopping", [True, False])
async def test_a_shard_that_has_gone_is_not_waited_for(stopping, make_shard, apply, heard, topology):
    shard = make_shard()
    await heard(topology)
    await asyncio.to_thread(shard.die, stopping)
    await heard(topology, 0)
    assert (await apply()).expected == 0
