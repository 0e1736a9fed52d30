"""The kill switch: no quorum to engage, reason and everyone's word to release."""

import asyncio

import pytest

from mevflow.control.refusal import Refused
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.service import Service
from mevflow.v1 import control_service_pb2 as pb
from tests.control.conftest import ANN

OUTCOME = pb.CommandReply.Outcome.Name


async def test_it_engages_at_every_shard_and_stays_known(handlers, make_shard, heard, topology, settings):
    make_shard(shard=0)
    make_shard(shard=1)
    await heard(topology, 2)
    reply = await handlers.kill(pb.KillRequest(topology=topology, reason="drill"), ANN)
    assert (OUTCOME(reply.outcome), reply.applied, reply.reason) == ("CONVERGED", 2, "drill")
    async with Service(settings) as other:
        status = await Handlers(other).status(pb.StatusRequest(topology=topology), ANN)
        assert list(status.killed) == [f"{topology}/"]
        assert [(c.kind, c.applied) for c in status.commands if c.topology] == [("kill", 2)]
    status = await handlers.status(pb.StatusRequest(topology=topology), ANN)
    assert list(status.killed) == [f"{topology}/"]


async def test_a_release_needs_a_reason_and_every_shard(handlers, make_shard, heard, topology):
    answers = [(0.0, "APPLIED", "")]
    make_shard(shard=0)
    make_shard(shard=1, will=lambda c: answers if c.kind == "kill" else [(0.0, "REJECTED", "kill_file")])
    await heard(topology, 2)
    scope = "pool:0x" + "11" * 20
    await handlers.kill(pb.KillRequest(topology=topology, scope=scope), ANN)
    with pytest.raises(Refused) as refused:
        await handlers.release(pb.ReleaseRequest(topology=topology, scope=scope, reason=" "), ANN)
    assert refused.value.reason == "REASON_REQUIRED"
    reply = await handlers.release(pb.ReleaseRequest(topology=topology, scope=scope, reason="over"), ANN)
    assert (OUTCOME(reply.outcome), reply.applied, reply.rejected) == ("PARTIAL", 1, 1)
    assert [a.reason for a in reply.answers] == ["", "kill_file"]


@pytest.mark.parametrize("name", ["..", "d-1x", "D/1"])
async def test_a_topology_that_is_none_is_refused(handlers, name):
    with pytest.raises(Refused) as refused:
        await handlers.kill(pb.KillRequest(topology=name), ANN)
    assert refused.value.code in ("NOT_FOUND", "INVALID_ARGUMENT")


async def test_a_scope_that_is_none_is_refused(handlers, topology):
    with pytest.raises(Refused) as refused:
        await handlers.kill(pb.KillRequest(topology=topology, scope="pool:nonsense"), ANN)
    assert refused.value.code == "INVALID_ARGUMENT"


async def test_two_services_that_kill_at_once_both_engage(handlers, make_shard, heard, topology, settings):
    make_shard()
    await heard(topology)
    async with Service(settings) as other:
        request = pb.KillRequest(topology=topology)
        replies = await asyncio.gather(handlers.kill(request, ANN), Handlers(other).kill(request, ANN))
    assert {OUTCOME(reply.outcome) for reply in replies} == {"CONVERGED"}
    assert sorted(reply.version for reply in replies) == [1, 2]


async def test_the_pulse_is_on_the_topic(service, make_shard, kafka_broker):
    from confluent_kafka import Consumer, TopicPartition

    from mevflow.flows.steering.protocol import COMMANDS
    from mevflow.v1.control_pb2 import ControlCommand

    def two():
        consumer = Consumer({"bootstrap.servers": kafka_broker, "group.id": "pulse", "log_level": 0})
        end = consumer.get_watermark_offsets(TopicPartition(COMMANDS, 0), timeout=10)[1]
        consumer.assign([TopicPartition(COMMANDS, 0, end)])
        found = [ControlCommand.FromString(consumer.poll(10).value()) for _ in range(2)]
        consumer.close()
        return found

    first, second = await asyncio.to_thread(two)
    assert {first.kind, second.kind} == {"pulse"}
    assert service.service_id in (first.issuer, second.issuer)
