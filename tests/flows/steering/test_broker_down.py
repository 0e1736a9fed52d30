"""Control when the broker is not there: a shard does not start to decide, stops by file, and loses no answer."""

import time

import pytest

from mevflow.flows.runtime.status import shard_status
from mevflow.kafka import broker
from mevflow.kafka.topics import create
from mevflow.processes.addresses import free_port
from tests.flows.steering.conftest import CONTROL_TOPICS


@pytest.fixture
def own_broker(tmp_path):
    var = tmp_path / "kafka"
    bootstrap, controller = f"127.0.0.1:{free_port()}", free_port()

    def start():
        broker.start(var, bootstrap, controller, heap_mb=256)

    start()
    yield bootstrap, start, lambda: broker.stop(var)
    broker.stop(var)


def test_a_shard_that_cannot_read_what_is_in_force_does_not_start(make_shard):
    shard = make_shard(control="{start_s: 1}", bootstrap=f"127.0.0.1:{free_port()}").start(wait=False)
    assert shard.process.wait(30) == 1
    assert "nothing is decided" in shard_status(shard.layout, 0)["error"]
    assert shard.rows() == []


def test_control_may_be_switched_off(make_shard):
    shard = make_shard(control="{enabled: false}", bootstrap=f"127.0.0.1:{free_port()}").start()
    shard.wait_rows()


def test_a_broker_restart_loses_and_doubles_nothing(make_shard, own_broker):
    bootstrap, start, stop = own_broker
    shard = make_shard(bootstrap=bootstrap).start(wait=False)
    assert shard.process.wait(30) == 2
    assert "mevflow topics create" in shard_status(shard.layout, 0)["error"]
    create(bootstrap, CONTROL_TOPICS)
    shard.start()
    before = [shard.send("policy", version, target="scaled", payload=b'{"gain": 2}') for version in range(1, 51)]
    stop()
    # The dataflow goes on, and the file still stops it.
    shard.wait_rows()
    (shard.var / "KILL").touch()
    time.sleep(0.3)
    kept = len(shard.rows())
    time.sleep(0.3)
    assert len(shard.rows()) == kept
    start()
    (shard.var / "KILL").unlink()
    after = [shard.send("policy", version, target="scaled", payload=b'{"gain": 3}') for version in range(51, 101)]
    shard.send("release", 1)
    acks = shard.acks(*before, *after, wait_s=40, still_s=0.5)
    assert sorted(ack.command_id for ack in acks) == sorted(c.command_id for c in (*before, *after))
    (local,) = shard.acks()
    assert (local.reason, local.run_id) == ("kill_file", shard.run_id)
    shard.wait_rows()
    assert shard.gain() == 3
    assert shard.stop() == 0
