"""What the topics say comes to one history, in whatever order they are read, and a restart does not rewrite it."""

import itertools

import pytest

from mevflow.control.commands import ledger as ledgers
from mevflow.control.commands.ledger import Ledger
from mevflow.control.commands.record import Entry
from mevflow.flows.steering.protocol import ISSUED
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand
from mevflow.v1.control_service_pb2 import CommandReply

COMMANDS = [
    ControlCommand(command_id=f"c{version}", kind="policy", topology="t", target="found", version=version)
    for version in (1, 2)
]


def ack(command, status, run, reason=""):
    return ControlAck(
        command_id=command.command_id, topology="t", shard=0, stage="found", run_id=run, status=status, reason=reason
    )


def outcomes(ledger):
    return [CommandReply.Outcome.Name(ledger.entry(command.command_id).outcome()) for command in COMMANDS]


ANSWERS = [
    ack(COMMANDS[0], ControlAck.APPLIED, "run-1"),
    ack(COMMANDS[1], ControlAck.APPLIED, "run-1"),
    # the shard starts anew with the state of version 2, and reads the log again
    ack(COMMANDS[0], ControlAck.REJECTED, "run-2", "version_taken"),
    ack(COMMANDS[1], ControlAck.DUPLICATE, "run-2"),
]


@pytest.mark.parametrize("last", [ControlAck.REJECTED, ControlAck.STALE])
@pytest.mark.parametrize("order", list(itertools.permutations(("commands", "acks", "audit"))))
def test_a_shard_that_reads_the_log_again_does_not_unsay_what_converged(order, last):
    ledger = Ledger()
    answers = [*ANSWERS[:2], ack(COMMANDS[0], last, "run-2"), ANSWERS[3]]
    for topic in order:
        if topic == "commands":  # compaction has left the second alone
            ledger.command(7, COMMANDS[1])
        elif topic == "acks":
            for answer in answers:
                ledger.ack(answer)
        else:
            for command in COMMANDS:
                whole = command.SerializeToString()
                ledger.audit(ControlAudit(status=ISSUED, command_id=command.command_id, command=whole))
                ledger.audit(ControlAudit(status="OK", method="Apply", command_id=command.command_id))
    assert outcomes(ledger) == ["CONVERGED", "CONVERGED"]


def test_what_is_in_force_is_what_the_shard_says_now():
    entry = Entry(COMMANDS[1], won=True)
    entry.answer(ANSWERS[1])
    entry.answer(ack(COMMANDS[1], ControlAck.REJECTED, "run-2", "out_of_bounds"))
    assert entry.outcome() == CommandReply.REJECTED


@pytest.mark.parametrize("odd", [{"kind": "nonsense"}, {"topology": "x" * 300}, {"version": 1 << 63}])
def test_no_audit_record_brings_in_a_command_that_is_none(odd, monkeypatch):
    """Of a kind that there is not, one too many of them kept every later command out."""
    monkeypatch.setattr(ledgers, "_KEPT", 3)
    ledger = Ledger()
    for number in range(5):
        fields = {"command_id": f"o{number}", "kind": "policy", "topology": "t", "version": 1} | odd
        record = ControlAudit(status=ISSUED, command=ControlCommand(**fields).SerializeToString())
        with pytest.raises(ValueError, match=next(iter(odd))):
            ledger.audit(record)
    for offset, command in enumerate(COMMANDS):
        assert ledger.command(offset, command).won


def test_answers_to_what_is_not_known_are_kept_to_a_number(monkeypatch):
    monkeypatch.setattr(ledgers, "_ORPHANS", 10)
    ledger = Ledger()
    for number in range(100):
        ledger.ack(ControlAck(command_id="nobody's", topology="t", shard=number, status=1))
    for number in range(9):
        ledger.ack(ControlAck(command_id=COMMANDS[0].command_id, topology="t", shard=number, run_id="r", status=1))
    ledger.command(0, COMMANDS[0])
    assert len(ledger.entry(COMMANDS[0].command_id).answers) == 9
    assert sum(map(len, ledger._orphans.values())) == ledger._waiting <= 1
