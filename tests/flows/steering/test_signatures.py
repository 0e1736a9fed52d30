"""Who may write to Kafka is not an operator: a shard that wants signatures carries out no command without one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.control.auth.keys import make_key
from mevflow.flows.steering.protocol import COMMANDS, PULSE, command_key
from mevflow.flows.steering.signatures import HEADER, Signer, Verifier
from mevflow.operators.errors import UsageError
from mevflow.v1.control_pb2 import ControlAck, ControlCommand


@pytest.fixture
def keys(tmp_path):
    for name in ("desk", "other"):
        make_key(tmp_path / f"{name}s", name, tmp_path / "private" / f"{name}.pem")
    return tmp_path


def send(hand, command, *headers, key=None):
    key = key or command_key(command.topology, command.kind, command.target)
    hand._producer.produce(COMMANDS, command.SerializeToString(), key=key, headers=list(headers))
    assert hand._producer.flush(20) == 0
    return command


def test_a_shard_carries_out_what_is_signed_and_nothing_else(make_shard, keys):
    shard = make_shard("{signed_by: desks}").start()
    signer, other = Signer(keys / "private" / "desk.pem"), Signer(keys / "private" / "other.pem")
    made = 0

    def command(version, kind="policy", **fields):
        nonlocal made
        made += 1
        target = "scaled" if kind == "policy" else ""
        row = ControlCommand(command_id=f"{shard.topology}-{made}", kind=kind, topology=shard.topology)
        return ControlCommand(
            command_id=row.command_id,
            kind=kind,
            topology=shard.topology,
            target=target,
            version=version,
            nonce=str(made).encode(),
            payload=json.dumps({"gain": 10 + made}).encode() if kind == "policy" else b"",
            **fields,
        )

    def signed(row, by=signer):
        return by.header(command_key(row.topology, row.kind, row.target), row.SerializeToString())

    def answer(row):
        (ack,) = shard.acks(row)
        return ControlAck.Status.Name(ack.status), ack.reason

    good = command(1)
    assert answer(send(shard, good, signed(good))) == ("APPLIED", "")
    gain = json.loads(good.payload)["gain"]
    bad = command(9)
    tried = [
        (bad, [], "unsigned"),
        (command(9), [(HEADER, b"")], "bad_signature"),
        (command(9), [signed(bad)], "bad_signature"),
        (command(9, kind="kill"), [], "unsigned"),
    ]
    for row, headers, reason in tried:
        assert answer(send(shard, row, *headers)) == ("REJECTED", reason)
    row = command(9)
    assert answer(send(shard, row, signed(row, other))) == ("REJECTED", "bad_signature")
    row = command(9)
    assert answer(send(shard, row, signed(row), signed(row))) == ("REJECTED", "unsigned")
    row = command(9, kind="kill")
    assert answer(send(shard, row, signed(row), key="elsewhere")) == ("REJECTED", "bad_signature")
    shard.wait_rows()
    assert shard.gain() == gain
    # What was refused took no version, and after a restart it is as it was.
    later = command(2)
    assert answer(send(shard, later, signed(later))) == ("APPLIED", "")
    shard.stop()
    shard.start()
    shard.wait_rows()
    assert shard.gain() == json.loads(later.payload)["gain"]


def test_a_pulse_that_is_not_signed_or_comes_again_keeps_nothing_alive(make_shard, keys):
    shard = make_shard("{signed_by: desks, pulse_limit_s: 2}").start()
    signer = Signer(keys / "private" / "desk.pem")
    old = ControlCommand(kind=PULSE, issuer="x", issued_at_us=1)
    header = signer.header(PULSE, old.SerializeToString())
    send(shard, old, header, key=PULSE)
    shard.beats(lambda beat: beat.pulse_age_ms >= 0)
    for _ in range(40):
        send(shard, old, header, key=PULSE)
        send(shard, ControlCommand(kind=PULSE, issuer="x", issued_at_us=2), key=PULSE)
        if shard.beats(lambda beat: True)[-1].killed:
            break
    (ack,) = shard.acks(wait_s=20.0)
    assert ack.reason == "lost_pulse"


def test_records_that_nobody_could_answer_do_not_end_a_shard(make_shard):
    shard = make_shard().start()
    for kind in ("policy", "kill", "nonsense" * 10_000):
        row = ControlCommand(command_id="x" * 800_000, kind=kind, topology=shard.topology, target="y", version=1)
        shard._producer.produce(COMMANDS, row.SerializeToString(), key="x")
    send(shard, ControlCommand(command_id="z", kind="policy", topology=shard.topology, version=(1 << 64) - 1))
    shard._producer.produce(COMMANDS, b"\xff" * 100, key="x")
    (ack,) = shard.acks(shard.send("policy", 1, target="scaled", payload=b'{"gain": 7}'))
    assert ack.status == ControlAck.APPLIED
    shard.stop()
    shard.start()
    shard.wait_rows()
    assert shard.gain() == 7


def test_a_key_that_is_taken_away_signs_no_more(keys):
    signer = Signer(keys / "private" / "desk.pem")
    verifier = Verifier(keys / "desks")
    record = (b"a/policy/b", b"value")
    header = [signer.header("a/policy/b", b"value")]
    assert verifier.fault(*record, header) == ""
    (keys / "desks" / "desk.pem").rename(keys / "desk.pem")
    verifier._looked = float("-inf")
    assert verifier.fault(*record, header) == "bad_signature"
    with pytest.raises(UsageError):
        Verifier(keys / "nowhere")
    with pytest.raises(UsageError):
        Signer(keys / "desk.pem")


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_no_other_key_or_value_bears_a_signature(tmp_path_factory, key, value, other_key, other_value):
    folder = tmp_path_factory.getbasetemp() / "signing"
    if not folder.exists():
        make_key(folder / "public", "one", folder / "private" / "one.pem")
    signer, verifier = Signer(folder / "private" / "one.pem"), Verifier(folder / "public")
    name = key.hex()
    header = [signer.header(name, value)]
    assert verifier.fault(name.encode(), value, header) == ""
    same = (other_key.hex(), other_value) == (name, value)
    assert (verifier.fault(other_key.hex().encode(), other_value, header) == "") is same
