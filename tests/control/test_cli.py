"""``mevflow control`` as people and scripts use it: output, exit codes, hints."""

import asyncio
import csv
import io
import json
import subprocess
import sys

import pytest
import pytest_asyncio

from mevflow.control.auth.identity import LocalAuthenticator
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.processes.addresses import free_port
from mevflow.processes.environment import environment


@pytest_asyncio.fixture(loop_scope="session")
async def mevflow(service, handlers):
    """Run the command against the tests' service: gives (exit code, stdout, stderr)."""
    server = Server(Dispatcher(handlers, LocalAuthenticator(), service.writer), Door(port=0))
    await server.start()

    async def run(*arguments, address=server.address, stdin=""):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mevflow.cli",
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment(), "MEVFLOW_CONTROL_ADDRESS": address},
        )
        out, err = await process.communicate(stdin.encode())
        return process.returncode, out.decode(), err.decode()

    yield run
    await server.stop(0.1)


async def test_apply_status_and_history(mevflow, make_shard, heard, topology):
    make_shard()
    await heard(topology)
    code, out, _ = await mevflow("control", "apply", topology, "found", '{"min_profit_usd": 1}', "--json")
    reply = json.loads(out)
    assert (code, reply["outcome"], reply["version"], reply["payload"]) == (0, "CONVERGED", 1, {"min_profit_usd": 1})
    code, out, _ = await mevflow("policy", "apply", topology, "found", "-", stdin='{"min_profit_usd": 2}')
    assert (code, out.splitlines()[0]) == (0, f"CONVERGED: policy {topology}/found version 2, 1 of 1 have it")
    code, out, _ = await mevflow("control", "status", topology, "--json")
    assert json.loads(out)["shards"][0]["state"] == "live"
    code, out, _ = await mevflow("control", "history", topology, "--json")
    assert [row["version"] for row in json.loads(out)] == [2, 1]
    code, out, _ = await mevflow("policy", "history", topology, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["target"], row["version"], row["outcome"]) for row in rows] == [
        ("found", "2", "CONVERGED"),
        ("found", "1", "CONVERGED"),
    ]
    code, out, _ = await mevflow("control", "acks", "--command", reply["command_id"], "--limit", "1", "--json")
    assert json.loads(out)["ack"]["status"] == "APPLIED"


async def test_exit_codes(mevflow, make_shard, heard, topology):
    make_shard(lambda command: [(0.0, "REJECTED", "out_of_bounds")])
    await heard(topology)
    code, out, err = await mevflow("control", "apply", topology, "found", "{}")
    assert (code, "REJECTED" in out, "1 refused" in err) == (4, True, True)
    code, _, err = await mevflow("control", "apply", topology, "fond", "{}")
    assert (code, "did you mean 'found'" in err) == (2, True)
    code, _, err = await mevflow("control", "apply", topology, "found", "{}", "--expected-version", "7")
    assert (code, "VERSION_MISMATCH" in err) == (1, True)
    code, _, err = await mevflow("control", "status", address=f"127.0.0.1:{free_port()}")
    assert (code, "mevflow control serve" in err) == (3, True)
    code, _, _ = await mevflow("release", "--topology", topology)
    assert code == 2


@pytest.mark.parametrize("arguments", [("kill",), ("control", "kill")])
async def test_kill_and_release(mevflow, make_shard, heard, topology, arguments):
    make_shard()
    await heard(topology)
    code, out, _ = await mevflow(*arguments, "--topology", topology, "--reason", "drill", "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "CONVERGED")
    code, out, _ = await mevflow("control", "status", topology)
    assert f"KILLED: {topology}/" in out
    code, _, _ = await mevflow("control", "release", "--topology", topology, "--reason", "over")
    assert code == 0
