"""The service as a process, real shards, and a broker of its own: what a kill and a restart leave."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mevflow.control.client.client import Control, ControlError, delivery, outcome
from mevflow.flows.runtime import control_service
from mevflow.kafka import broker
from mevflow.kafka.topics import create
from mevflow.operators.errors import UnreachableError
from mevflow.processes.addresses import free_port
from mevflow.processes.environment import environment
from tests.control.conftest import CONTROL_TOPICS
from tests.flows.steering import conftest as steering

MEVFLOW = (sys.executable, "-m", "mevflow.cli")
plugin, make_shard = steering.plugin, steering.make_shard


@pytest.fixture
def serve(tmp_path):
    """Start services as processes; each gives (process, address)."""
    running = []

    def start(file, bootstrap, number=0):
        process = subprocess.Popen(
            [*MEVFLOW, "control", "serve", "--port", "0", "--http-port", "0", "--json", "--file", str(file)],
            stdout=subprocess.PIPE,
            stderr=(tmp_path / f"service-{number}.log").open("ab"),
            env={**environment(), "MEVFLOW_VAR": str(tmp_path / "var"), "MEVFLOW_KAFKA__BOOTSTRAP": bootstrap},
        )
        running.append(process)
        line = process.stdout.readline()
        assert line, (tmp_path / f"service-{number}.log").read_text()
        return process, json.loads(line)["grpc"]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_real_shard_is_steered_and_a_killed_service_forgets_nothing(make_shard, serve, kafka_broker):
    shard = make_shard()
    shard.start()
    shard.wait_rows()
    process, address = serve(shard.file, kafka_broker)
    name = shard.topology
    with Control(address) as control:
        reply = control.apply(name, "scaled", {"gain": 3}, how=delivery(idempotency_key="one", reason="test"))
        assert (outcome(reply), reply.applied, reply.answers[0].stage) == ("CONVERGED", 1, "scaled")
        assert (reply.answers[0].topic, reply.answers[0].run_id) == ("numbers", shard.run_id)
        refused = control.apply(name, "scaled", {"gain": 101}, how=delivery(rollback=True))
        assert (outcome(refused), refused.answers[0].reason) == ("REJECTED", "out_of_bounds")
        assert refused.note == "version 1 is set again as version 3"  # nobody else had it
        assert outcome(control.kill(name, reason="drill")) == "CONVERGED"
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(UnreachableError), Control(address) as control:
        control.status()
    process, address = serve(shard.file, kafka_broker, 1)
    with Control(address) as control:
        status = control.status(name)
        assert list(status.killed) == [f"{name}/"]
        assert {(c.kind, outcome(c), c.applied) for c in status.commands if c.topology == name} == {
            ("policy", "CONVERGED", 1),
            ("kill", "CONVERGED", 1),
        }
        again = control.apply(name, "scaled", {"gain": 3}, how=delivery(idempotency_key="one", reason="test"))
        assert (again.replayed, again.command_id) == (True, reply.command_id)
        assert [c.payload for c in control.history(name, kind="policy").commands] == [
            b'{"gain": 3}',
            b'{"gain": 101}',
            b'{"gain": 3}',
        ]
        assert outcome(control.release(name, reason="over")) == "CONVERGED"
        back = control.rollback(name, "scaled")
        assert (outcome(back), back.payload) == ("CONVERGED", b'{"gain": 3}')
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_broker_restart_in_the_middle_loses_and_doubles_no_answer(make_shard, serve, tmp_path):
    var, bootstrap, controller = tmp_path / "kafka", f"127.0.0.1:{free_port()}", free_port()
    broker.start(var, bootstrap, controller, heap_mb=256)
    try:
        create(bootstrap, CONTROL_TOPICS)
        shard = make_shard(bootstrap=bootstrap).start()
        _, address = serve(shard.file, bootstrap)
        name = shard.topology
        with Control(address) as control:
            before = control.apply(name, "scaled", {"gain": 2})
            assert outcome(before) == "CONVERGED"
            broker.stop(var)
            with pytest.raises(ControlError) as refused:
                control.apply(name, "scaled", {"gain": 4}, how=delivery(wait_s=1.0))
            assert refused.value.reason == "BROKER_UNAVAILABLE"
            assert list(control.status(name).killed) == []  # reads go on
            with pytest.raises(ControlError) as refused:
                control.kill(name, reason="drill")
            kill_file = shard.var / "run" / name / "KILL"
            assert refused.value.metadata["kill_file"] == str(kill_file)
            assert kill_file.read_text() == "drill\n"
            kill_file.unlink()
            broker.start(var, bootstrap, controller, heap_mb=256)
            deadline = time.monotonic() + 60
            after = None
            while after is None or outcome(after) != "CONVERGED":
                assert time.monotonic() < deadline, after
                try:
                    after = control.apply(name, "scaled", {"gain": 5}, how=delivery(wait_s=5.0))
                except ControlError as error:
                    if error.reason != "BROKER_UNAVAILABLE":  # it has not found the broker again
                        raise
            assert after.version > before.version
            assert outcome(control.release(name, reason="over")) == "CONVERGED"
            status = control.status(name)
            assert [outcome(c) for c in status.commands] == ["CONVERGED", "CONVERGED"]
            (ack,) = shard.acks(after, count=1, still_s=0.5)  # once
            assert ack.run_id == shard.run_id
        shard.wait_rows()
        assert shard.gain() == 5
    finally:
        broker.stop(var)


def test_start_and_stop_in_the_background(tmp_path, kafka_broker, monkeypatch, settings):
    monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", kafka_broker)
    monkeypatch.setenv("MEVFLOW_CONTROL__PORT", str(free_port()))
    monkeypatch.setenv("MEVFLOW_CONTROL__HTTP_PORT", str(free_port()))
    monkeypatch.setenv("GRPC_VERBOSITY", "info")
    found = control_service.start(tmp_path, settings.file)
    with Control(found["grpc"]) as control:
        assert control.status().service_id == found["service_id"]
        control.validate_topology()  # in a process of its own
    assert control_service.start(tmp_path, settings.file)["pid"] == found["pid"]
    assert control_service.stop(tmp_path)
    assert not control_service.stop(tmp_path)
    assert "fork" not in (tmp_path / "control/service.log").read_text()  # gRPC leaves what is started alone


def test_of_two_services_of_a_folder_that_start_at_once_one_serves(tmp_path, kafka_broker):
    create(kafka_broker, CONTROL_TOPICS)
    file = tmp_path / "t.yaml"
    file.write_text("version: 1\ntopologies: {}\n")
    command = [*MEVFLOW, "control", "serve", "--port", "0", "--http-port", "0", "--json", "--file", str(file)]
    environ = {**environment(), "MEVFLOW_VAR": str(tmp_path / "var"), "MEVFLOW_KAFKA__BOOTSTRAP": kafka_broker}

    def launch():
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)

    both = [launch(), launch()]
    try:
        lines = [process.stdout.readline() for process in both]
        assert sorted(map(bool, lines)) == [False, True]
        serving, refused = both if lines[0] else both[::-1]
        assert refused.wait(60) == 2
        said = refused.stderr.read().decode()
        assert f"this folder is served by control service (pid {serving.pid} on " in said
        assert "mevflow control stop" in said
        serving.kill()
        serving.wait()
        both.append(launch())  # at once: the kernel has let go of the claim
        assert json.loads(both[-1].stdout.readline())["grpc"]
        both[-1].send_signal(signal.SIGTERM)
        assert both[-1].wait(60) == 0
    finally:
        for process in both:
            process.kill()
            process.wait()


def test_starts_at_once_wait_for_the_one_that_serves(tmp_path, kafka_broker, monkeypatch):
    create(kafka_broker, CONTROL_TOPICS)
    monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", kafka_broker)
    monkeypatch.setenv("MEVFLOW_CONTROL__PORT", "0")
    monkeypatch.setenv("MEVFLOW_CONTROL__HTTP_PORT", "0")
    file = tmp_path / "t.yaml"
    file.write_text("version: 1\ntopologies: {}\n")
    try:
        with ThreadPoolExecutor(3) as threads:
            found = list(threads.map(lambda _: control_service.start(tmp_path / "var", file), range(3)))
        assert len({(one["pid"], one["grpc"]) for one in found}) == 1
    finally:
        assert control_service.stop(tmp_path / "var")
