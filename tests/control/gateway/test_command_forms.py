"""What stages can be told is described by the stages themselves, with what is in force."""

import pytest

from mevflow.flows.spec.catalogue import names, part
from mevflow.operators.stage import Stage
from mevflow.v1.control_pb2 import ControlCommand

BIG = 123_456_789_012_345_678_901


async def test_a_stages_commands_come_with_their_schema_and_what_is_in_force(call, topology, make_shard, heard):
    make_shard()
    await heard(topology)
    path = f"/api/topologies/{topology}/commands"
    (row,) = (await call("GET", path)).body["rows"]
    assert (row["node"], row["use"], row["kind"], row["version"]) == ("found", "arbitrage.detect", "policy", 0)
    assert row["in_force"] is None
    assert row["by_file"]["min_profit_usd"] == 0.05
    assert row["schema"]["properties"]["min_profit_usd"]["minimum"] == 0
    assert row["schema"]["required"] == ["min_profit_usd"]
    payload = {"min_profit_usd": 1, "costs": {"solana": {"tip": {"absolute": BIG}}}}
    asked = {"topology": topology, "target": "found", "payload": payload}
    assert (await call("POST", "/api/control/policy", asked)).status == 200
    (row,) = (await call("GET", path)).body["rows"]
    assert (row["version"], row["in_force"]) == (1, payload)  # to the last digit
    assert (await call("GET", "/api/topologies/none/commands")).status == 404
    assert (await call("GET", path, token="none")).status == 401


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"[" * 5_000], ids=["cut", "bytes", "deep"])
async def test_a_payload_that_is_no_json_is_none_and_the_others_are_answered(
    call, service, topology, make_shard, heard, payload
):
    make_shard()
    await heard(topology)
    written = ControlCommand(
        command_id=topology, kind="policy", topology=topology, target="found", version=9, payload=payload
    )
    service.ledger.command(1_000_000, written)
    (row,) = (await call("GET", f"/api/topologies/{topology}/commands")).body["rows"]
    assert (row["node"], row["version"], row["in_force"]) == ("found", 9, None)


def test_every_stage_that_takes_commands_says_which():
    kinds = [part(name) for name in names() if issubclass(part(name), Stage)]
    steered = {kind.use for kind in kinds if kind.on_control is not Stage.on_control}
    assert steered == {kind.use for kind in kinds if kind.commands}
    assert {"arbitrage.detect", "bandit.decide", "river.model"} <= steered
