"""Topologies over the service: listed, checked, deployed, drained, rescaled, upgraded, with real shards."""

import pytest

from mevflow.control.auth.identity import LocalAuthenticator
from mevflow.control.refusal import Refused
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.service import Service, ServiceSettings
from mevflow.v1 import control_service_pb2 as pb
from tests.control.conftest import ANN
from tests.flows.steering import conftest as steering

plugin, make_real = steering.plugin, steering.make_shard
OUTCOME = pb.CommandReply.Outcome.Name


async def test_the_file_is_listed_and_checked(handlers):
    rows = (await handlers.list_topologies(pb.ListTopologiesRequest(), ANN)).topologies
    assert rows[0].state == "never deployed"
    assert "found=arbitrage.detect" in rows[0].nodes
    assert (await handlers.validate_topology(pb.ValidateTopologyRequest(names=["d-0"]), ANN)).valid
    wrong = "version: 1\ntopologies:\n  t:\n    nodes:\n      a: {use: kafka.sorce}\n"
    reply = await handlers.validate_topology(pb.ValidateTopologyRequest(yaml=wrong), ANN)
    assert not reply.valid
    assert "kafka.source" in reply.problems[0].suggestion + reply.problems[0].message


async def test_a_topology_is_deployed_steered_upgraded_rescaled_and_drained(make_real, kafka_broker):
    shard = make_real()
    name = shard.topology
    async with Service(ServiceSettings(kafka_broker, shard.file, shard.var)) as service:
        handlers = Handlers(service)
        assert (await handlers.deploy(pb.DeployRequest(name=name), ANN)).state == "running"
        with pytest.raises(Refused) as refused:
            await handlers.deploy(pb.DeployRequest(name=name), ANN)
        assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "NOT_POSSIBLE")
        # Expected from what is deployed, heard yet or not.
        request = pb.ApplyRequest(topology=name, target="scaled", payload=b'{"gain": 2}')
        reply = await handlers.apply(request, ANN)
        assert (OUTCOME(reply.outcome), reply.applied) == ("CONVERGED", 1)
        status = await handlers.topology_status(pb.TopologyStatusRequest(name=name), ANN)
        assert (status.state, status.shards[0].control.state) == ("running", "live")
        assert status.shards[0].rows > 0
        with pytest.raises(Refused) as refused:
            await handlers.rescale(pb.RescaleRequest(name=name, shards=2), ANN)
        assert refused.value.reason == "STATE_DOES_NOT_FIT"
        assert (await handlers.topology_status(pb.TopologyStatusRequest(name=name), ANN)).state == "running"
        ask = pb.PlanTopologyRequest(name=name, rollback=True)
        with pytest.raises(Refused, match="no other deployment to go back to"):
            await handlers.plan_topology(ask, ANN)
        shard.file.write_text(shard.file.read_text().replace("/idle", "/other"))
        plan = await handlers.plan_topology(pb.PlanTopologyRequest(name=name), ANN)
        assert [(each.node, each.setting) for each in plan.differences] == [("numbers", "idle_file")]
        assert not plan.refusal
        upgrade = pb.ChangeTopologyRequest(name=name, plan=plan.plan)
        assert (await handlers.upgrade_topology(upgrade, ANN)).state == "running"
        with pytest.raises(Refused, match="changed since it was planned"):  # another deployment runs by now
            await handlers.upgrade_topology(upgrade, ANN)
        back = await handlers.plan_topology(ask, ANN)
        assert back.differences[0].before == plan.differences[0].after
        await handlers.rollback_topology(pb.ChangeTopologyRequest(name=name, plan=back.plan), ANN)
        scaled = await handlers.rescale(pb.RescaleRequest(name=name, shards=2, fresh=True), ANN)
        assert scaled.shards == 2
        reply = await handlers.kill(pb.KillRequest(topology=name, wait_ms=10_000), ANN)
        assert (OUTCOME(reply.outcome), reply.applied) == ("CONVERGED", 2)
        assert (await handlers.stop(pb.StopRequest(name=name), ANN)).state == "stopped"
        assert not [s for s in service.roll.status(name) if s.state == "live"]


async def test_a_failing_call_is_refused_in_terms_of_the_call(service, handlers):
    dispatcher = Dispatcher(handlers, LocalAuthenticator(), service.writer)
    assert set(dispatcher.routes) >= {"Deploy", "Replay"}
    with pytest.raises(Refused) as refused:
        await handlers.stop(pb.StopRequest(name="nothing"), ANN)
    assert refused.value.code == "FAILED_PRECONDITION"
    with pytest.raises(Refused) as refused:
        await handlers.topology_status(pb.TopologyStatusRequest(name="../../etc"), ANN)
    assert refused.value.code == "INVALID_ARGUMENT"
