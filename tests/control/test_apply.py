"""A policy from the call to every shard's answer."""

import grpc
import pytest
from google.rpc import error_details_pb2 as rpc
from grpc_status import rpc_status

from mevflow.control.refusal import Refused
from mevflow.v1 import control_service_pb2 as pb
from tests.control.conftest import ANN

OUTCOME = pb.CommandReply.Outcome.Name


async def test_it_converges_when_every_shard_has_applied_it(make_shard, apply, heard, topology):
    make_shard(shard=0, shards=2)
    make_shard(shard=1, shards=2)
    await heard(topology, 2)
    reply = await apply()
    assert (OUTCOME(reply.outcome), reply.version, reply.expected, reply.applied) == ("CONVERGED", 1, 2, 2)
    assert [(a.shard, a.stage, a.status) for a in reply.answers] == [(0, "found", "APPLIED"), (1, "found", "APPLIED")]
    assert (await apply(0.1)).version == 2


async def test_the_expected_version_is_held_against_the_one_in_force(make_shard, apply, heard, topology):
    make_shard()
    await heard(topology)
    assert (await apply(expected_version=0)).version == 1
    with pytest.raises(Refused) as refused:
        await apply(0.2, expected_version=0)
    assert (refused.value.code, refused.value.reason) == ("ABORTED", "VERSION_MISMATCH")
    assert (await apply(0.2, expected_version=1)).version == 2


async def test_a_call_may_be_made_again_under_its_key_but_no_other_call(make_shard, apply, heard, topology):
    shard = make_shard()
    await heard(topology)
    first = await apply(0.3, idempotency_key="k1")
    again = await apply(0.3, idempotency_key="k1", wait_ms=77)
    assert again.replayed
    assert (again.command_id, again.version, again.outcome) == (first.command_id, first.version, first.outcome)
    with pytest.raises(Refused) as refused:
        await apply(0.4, idempotency_key="k1")
    assert (refused.value.code, refused.value.reason) == ("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
    assert len(shard.seen) == 1


async def test_errors_say_what_to_change(stub, make_shard, heard, topology):
    make_shard()
    await heard(topology)
    for request, code, reason in (
        (pb.ApplyRequest(topology=topology, target="found", payload=b"{"), "INVALID_ARGUMENT", "MALFORMED_JSON"),
        (pb.ApplyRequest(topology=topology, target="fond", payload=b"{}"), "NOT_FOUND", "NO_SUCH_TARGET"),
        (pb.ApplyRequest(topology="nowhere", target="found", payload=b"{}"), "NOT_FOUND", "NO_SUCH_TOPOLOGY"),
        (
            pb.ApplyRequest(topology=topology, target="found", payload=b"{}", delivery=pb.Delivery(rollback=True)),
            "FAILED_PRECONDITION",
            "NOTHING_TO_ROLL_BACK_TO",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Apply(request)
        assert failed.value.code() == grpc.StatusCode[code]
        status = rpc_status.from_call(failed.value)
        info = rpc.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert (info.domain, info.reason) == ("mevflow", reason)


async def test_validate_and_plan_ask_the_stage_itself(handlers, make_shard, apply, heard, topology):
    def asked(payload):
        return pb.PolicyRequest(topology=topology, target="arbitrage.detect", payload=payload)

    make_shard()
    await heard(topology)
    good = await handlers.validate(asked(b'{"min_profit_usd": 1}'), ANN)
    assert (good.valid, list(good.stages)) == (True, [f"{topology}/found"])
    bad = await handlers.validate(asked(b'{"min_profit_usd": -1}'), ANN)
    assert (bad.valid, bad.violations[0].reason.lower()) == (False, "out_of_bounds")
    await apply(0.05)
    request = pb.PolicyRequest(topology=topology, target="found", payload=b'{"min_profit_usd": 2, "deny_pools": []}')
    plan = await handlers.plan(request, ANN)
    assert plan.version == 1
    assert [(c.op, c.path, c.before, c.after) for c in plan.changes] == [
        ("add", "/deny_pools", b"", b"[]"),
        ("replace", "/min_profit_usd", b"0.05", b"2"),
    ]
    assert [(a.shard, a.stage) for a in plan.affected] == [(0, "found")]
    assert plan.validation.valid


async def test_a_model_for_one_chain_leaves_the_other_chains_in_the_log(make_shard, handlers, service, heard, topology):
    """Each chain's model has a key of its own, so a shard that starts later finds both."""
    shard = make_shard()
    await heard(topology)
    for chain in ("solana", "ethereum", "solana"):
        payload = b'{"policy": "tip-linucb", "fresh": true, "chain": "%s"}' % chain.encode()
        request = pb.SwapModelRequest(topology=topology, target="found", payload=payload)
        reply = await handlers.swap_model(request, ANN)
        assert (OUTCOME(reply.outcome), reply.target) == ("CONVERGED", f"found@{chain}")
    states = [command for command in service.ledger.states(topology) if command.topology]  # a kill of all has none
    held = {command.target: command.version for command in states}
    assert held == {"found@ethereum": 1, "found@solana": 2}
    assert [(one.target, one.version) for one in shard.seen] == [
        ("found@solana", 1),
        ("found@ethereum", 1),
        ("found@solana", 2),
    ]
