"""Commands into a running shard: applied, answered once, with the row at which they took effect."""

import time

from mevflow.v1.control_pb2 import ControlAck


def gain(value):
    return b'{"gain": %d}' % value


def statuses(rows):
    return [(ControlAck.Status.Name(row.status), row.reason, row.stage) for row in rows]


def test_a_joining_shard_applies_what_is_in_force_before_its_first_row(make_shard):
    shard = make_shard()
    shard.send("policy", 1, target="scaled", payload=gain(3))
    last = shard.send("policy", 2, target="scaled", payload=gain(7))
    shard.start()
    shard.wait_rows()
    (ack,) = shard.acks(last)
    assert statuses([ack]) == [("APPLIED", "", "scaled")]
    assert ack.run_id == shard.run_id
    assert ack.offset == -1  # before any row
    assert {scaled // n for n, scaled, _ in shard.rows() if n} == {7}


def test_a_command_takes_effect_after_exactly_the_row_that_its_answer_names(make_shard):
    shard = make_shard().start()
    shard.wait_rows()
    (ack,) = shard.acks(shard.send("policy", 1, target="steer.gain", payload=gain(5)))
    shard.wait_rows()
    assert (ack.topic, ack.partition) == ("numbers", 3)
    assert ack.offset > 0
    assert all(scaled == (n if n <= ack.offset else 5 * n) for n, scaled, _ in shard.rows())


def test_an_idle_stream_applies_within_milliseconds(make_shard):
    shard = make_shard()
    shard.idle()
    shard.start()
    shard.acks(shard.send("policy", 1, target="scaled", payload=gain(2)))
    waits = []
    for version in range(2, 12):
        sent = time.time()
        (ack,) = shard.acks(shard.send("policy", version, target="scaled", payload=gain(version)))
        waits.append(ack.timestamp_us / 1e6 - sent)
    assert sorted(waits)[5] < 0.1


def test_versions_are_judged_and_a_rejection_changes_nothing(make_shard):
    shard = make_shard().start()
    first = shard.send("policy", 5, target="scaled", payload=gain(4))
    shard.again(first)
    older = shard.send("policy", 4, target="scaled", payload=gain(9))
    taken = shard.send("policy", 5, target="scaled", payload=gain(9))
    wrong = shard.send("policy", 6, target="scaled", payload=gain(101))
    shard.again(wrong)
    late = shard.send("policy", 7, target="scaled", payload=gain(9), expires_at_us=1)
    nobody = shard.send("policy", 1, target="nobody", payload=gain(9))
    source = shard.send("model", 1, target="scaled")
    rows = shard.acks(first, older, taken, wrong, late, nobody, source, count=9, still_s=0.3)
    by_id = {}
    for row in rows:
        by_id.setdefault(row.command_id, []).append(row)
    assert statuses(by_id[first.command_id]) == [("APPLIED", "", "scaled"), ("DUPLICATE", "", "scaled")]
    assert statuses(by_id[older.command_id]) == [("STALE", "version", "scaled")]
    assert statuses(by_id[taken.command_id]) == [("REJECTED", "version_taken", "scaled")]
    assert statuses(by_id[wrong.command_id]) == 2 * [("REJECTED", "out_of_bounds", "scaled")]
    assert statuses(by_id[late.command_id]) == [("REJECTED", "expired", "scaled")]
    assert statuses(by_id[nobody.command_id]) == [("REJECTED", "unknown_target", "")]
    assert statuses(by_id[source.command_id]) == [("REJECTED", "not_steerable", "scaled")]
    shard.wait_rows()
    assert shard.gain() == 4
    # A new one of a higher version goes through after all that.
    (ack,) = shard.acks(shard.send("policy", 8, target="scaled", payload=gain(6)))
    assert ack.status == ControlAck.APPLIED


def test_a_command_for_every_topology_is_answered_only_where_somebody_is_meant(make_shard):
    shard = make_shard().start()
    unknown = shard.send("policy", time.time_ns(), topology="", target="nobody", payload=gain(2))
    known = shard.send("policy", time.time_ns(), topology="", target="scaled", payload=gain(2))
    rows = shard.acks(known, unknown, count=1, still_s=0.3)
    assert statuses(rows) == [("APPLIED", "", "scaled")]


def test_pause_resume_log_level_and_snapshot(make_shard):
    shard = make_shard().start()
    shard.wait_rows()
    (ack,) = shard.acks(shard.send("pause", 1))
    assert statuses([ack]) == [("APPLIED", "", "")]
    shard.beats(lambda beat: beat.paused)
    before = shard.rows()
    time.sleep(0.3)
    assert shard.rows() == before
    # Paused, it can still be steered.
    assert shard.acks(shard.send("policy", 1, target="scaled", payload=gain(2)))[0].status == ControlAck.APPLIED
    shard.acks(shard.send("resume", 2))
    shard.wait_rows()
    level = shard.send("log_level", 1, payload=b'{"level": "debug"}')
    wrong = shard.send("log_level", 2, payload=b'{"level": "loud"}')
    snapshot = shard.send("snapshot", 1)
    rows = {row.command_id: row for row in shard.acks(level, wrong, snapshot)}
    assert statuses([rows[c.command_id] for c in (level, wrong, snapshot)]) == [
        ("APPLIED", "", ""),
        ("REJECTED", "out_of_bounds", ""),
        ("REJECTED", "unsupported", ""),
    ]
    assert "0.2 s" in rows[snapshot.command_id].detail


def test_a_restart_answers_for_its_own_run_and_keeps_what_was_set(make_shard):
    shard = make_shard().start()
    command = shard.send("policy", 3, target="scaled", payload=gain(8))
    shard.acks(command)
    first = shard.run_id
    assert shard.stop() == 0
    shard.start()
    shard.wait_rows()
    rows = shard.acks(command, count=2, still_s=0.3)
    assert len(rows) == 2
    assert {row.run_id for row in rows} == {first, shard.run_id}
    assert shard.gain() == 8


def test_heartbeats_say_how_it_goes_and_that_it_ends(make_shard):
    shard = make_shard().start()
    beats = shard.beats(lambda beat: beat.messages > 10)
    assert (beats[-1].shard, beats[-1].shards, beats[-1].spec_hash) == (0, 1, shard.spec.shape)
    assert beats[-1].pulse_age_ms == -1
    shard.send("pulse")
    shard.beats(lambda beat: 0 <= beat.pulse_age_ms < 5000)
    run_id = shard.run_id
    shard.stop()
    assert shard.beats(lambda beat: beat.stopping)[-1].run_id == run_id
