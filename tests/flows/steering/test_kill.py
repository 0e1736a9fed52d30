"""The kill switch of a running shard: by command, by file, by a lost pulse; latched, and lifted only in order."""

import signal
import threading
import time
from contextlib import contextmanager

from mevflow.v1.control_pb2 import ControlAck


def told(acks):
    return [(ControlAck.Status.Name(ack.status), ack.reason, ack.stage) for ack in acks]


def assert_silent(shard, seconds=0.3):
    before = len(shard.rows())
    time.sleep(seconds)
    assert len(shard.rows()) == before


def test_kill_is_latched_and_only_a_later_release_lifts_it(make_shard):
    shard = make_shard().start()
    shard.wait_rows()
    kill = shard.send("kill", 5)
    (ack,) = shard.acks(kill)
    assert told([ack]) == [("APPLIED", "", "")]
    assert (ack.topic, ack.partition) == ("numbers", 3)
    assert all(at * 1e6 <= ack.timestamp_us for _, _, at in shard.rows())
    assert_silent(shard)
    shard.beats(lambda beat: beat.killed)
    stale = shard.send("release", 4)
    assert told(shard.acks(stale)) == [("STALE", "version", "")]
    # The one who set another version 5 is told so.
    assert told(shard.acks(shard.send("release", 5))) == [("REJECTED", "version_taken", "")]
    for number in (signal.SIGTERM, signal.SIGKILL):
        shard.stop(number)
        shard.start()
        shard.beats(lambda beat: beat.run_id == shard.run_id and beat.killed)
        assert_silent(shard)
    assert told(shard.acks(shard.send("release", 6))) == [("APPLIED", "", "")]
    shard.wait_rows()


def test_scopes_of_pools_and_mints_do_not_stop_the_rest(make_shard):
    shard = make_shard().start()
    pool = shard.send("kill", 1, target="pool:0x" + "11" * 20)
    wrong = shard.send("kill", 1, target="pool:nonsense")
    assert told(shard.acks(pool)) == [("APPLIED", "", "")]
    assert told(shard.acks(wrong)) == [("REJECTED", "bad_target", "")]
    shard.wait_rows()
    (ack,) = shard.acks(shard.send("kill", 1))
    assert ack.status == ControlAck.APPLIED
    (ack,) = shard.acks(shard.send("release", 2))
    assert "pool:0x" in ack.detail
    shard.wait_rows()


def test_a_kill_of_every_topology_is_lifted_for_every_topology(make_shard):
    shard = make_shard().start()
    version = time.time_ns()
    shard.acks(shard.send("kill", version, topology=""))
    try:
        (ack,) = shard.acks(shard.send("release", 1))
        assert "everything" in ack.detail
        assert_silent(shard)
    finally:
        again = shard.send("release", version + 1, topology="")
    shard.acks(again)
    shard.wait_rows()


def test_a_kill_file_engages_at_once_and_outlives_its_removal(make_shard):
    shard = make_shard().start()
    former = shard.send("release", 3)
    shard.acks(former)
    shard.wait_rows()
    file = shard.var / "KILL"
    began = time.time()
    file.touch()
    (ack,) = shard.acks()
    assert (ack.command_id, ack.reason) == (f"local-kill_file-{shard.run_id}", "kill_file")
    assert ack.timestamp_us / 1e6 - began < 1.0
    assert_silent(shard)
    refused = shard.send("release", 4)
    assert told(shard.acks(refused)) == [("REJECTED", "kill_file", "")]
    file.unlink()
    assert_silent(shard)
    # Neither a restart nor a release that is read again lifts it.
    shard.again(former)
    shard.stop()
    shard.start()
    shard.beats(lambda beat: beat.run_id == shard.run_id and beat.killed)
    shard.acks(refused, count=2)
    assert_silent(shard)
    assert told(shard.acks(shard.send("release", 5))) == [("APPLIED", "", "")]
    shard.wait_rows()
    # The topology's own file, from before the start.
    shard.stop()
    (shard.layout.root / "KILL").touch()
    shard.start()
    shard.beats(lambda beat: beat.run_id == shard.run_id and beat.killed)
    assert_silent(shard)


@contextmanager
def pulse(shard):
    """Beat as the control service does."""
    over = threading.Event()

    def beat():
        while not over.wait(0.2):
            shard.send("pulse")

    thread = threading.Thread(target=beat)
    shard.send("pulse")
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_lost_pulse_engages_and_its_return_does_not_lift(make_shard):
    shard = make_shard(control="{pulse_limit_s: 1.5}")
    with pulse(shard):
        shard.start()
        shard.wait_rows()
    (ack,) = shard.acks()
    assert (ack.reason, ack.stage) == ("lost_pulse", "")
    assert_silent(shard)
    with pulse(shard):
        assert_silent(shard)
        assert told(shard.acks(shard.send("release", 1))) == [("APPLIED", "", "")]
        shard.wait_rows()
    shard.stop()
    # A shard that starts without a service to be heard does not decide.
    time.sleep(1.6)
    shard.start()
    assert_silent(shard)
