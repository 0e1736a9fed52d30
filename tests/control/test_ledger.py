"""What the topics say comes to one history, in whatever order they are read, and a restart does not rewrite it."""

import itertools

import pytest

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
