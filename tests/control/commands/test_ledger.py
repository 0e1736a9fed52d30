"""What the topics say, as the ledger keeps it: the lower offset wins, nothing is forgotten, nothing grows for ever."""

import pytest

from mevflow.control.commands import ledger as room
from mevflow.control.commands.ledger import Held, Ledger, RememberedCall
from mevflow.control.commands.record import Entry
from mevflow.v1.control_pb2 import ControlAck, ControlAudit
from tests.control.commands.made import ack, command, issued


def test_the_first_record_with_a_version_takes_it():
    book = Ledger()
    first, second = book.command(10, command(1)), book.command(11, command(2))
    assert (first.won, first.offset) == (True, 10)
    assert (second.won, second.offset) == (False, 11)
    held = book.in_force("t", "policy", "found")
    assert (held.version, held.current) == (1, first)
    assert held.torn  # compaction would keep the record of the second
    assert book.entry("c2") is second


def test_a_higher_version_is_in_force_and_the_former_ones_are_history():
    book = Ledger()
    entries = [book.command(n, command(n, version=n)) for n in (1, 3, 2)]
    held = book.in_force("t", "policy", "found")
    assert (held.version, held.current, held.last_record) == (3, entries[1], "c2")
    assert held.history == entries[:2]
    assert entries[2].won is False


def test_a_record_that_comes_again_changes_nothing():
    book = Ledger()
    entry = book.command(5, command(1))
    assert book.command(9, command(1)) is entry
    assert entry.offset == 5
    assert not book.in_force("t", "policy", "found").torn


def test_keys_do_not_touch_each_other():
    book = Ledger()
    book.command(1, command(1, version=7))
    other = book.command(2, command(2, target="decided"))
    assert other.won
    assert book.in_force("t", "policy", "nobody") == Held()
    assert set(book.keys) == {book.entry("c1").key, other.key}


def test_an_answer_waits_for_its_command():
    book = Ledger()
    assert book.ack(ack(1)) is None
    assert book.ack(ack(1, shard=1)) is None
    entry = Entry(command(1), frozenset({("t", 0, "found"), ("t", 1, "found")}), open=True)
    book.open(entry)
    assert entry.tally().applied == 2
    assert book.ack(ack(1)) is None  # said before
    assert book.ack(ack(1, run_id="r2")) is entry
    assert book.ack(ack(1, shard=1, run_id="r3", status=ControlAck.REJECTED)) is entry
    assert (entry.tally().applied, entry.tally().rejected) == (1, 1)


def test_orphans_are_bounded(monkeypatch):
    monkeypatch.setattr(room, "_ORPHANS", 3)
    book = Ledger()
    for number in range(5):
        book.ack(ack(number))
    entries = [Entry(command(number)) for number in range(5)]
    for entry in entries:
        book.open(entry)
    assert [bool(entry.answers) for entry in entries] == [False, False, True, True, True]


def test_old_commands_go_but_not_those_in_force_or_waited_for(monkeypatch):
    monkeypatch.setattr(room, "_KEPT", 2)
    book = Ledger()
    in_force = book.command(0, command(0, version=9, target="other"))
    waited = Entry(command(1), open=True)
    book.open(waited)
    for number in range(2, 6):
        book.command(number, command(number, version=number))
    assert book.entry("c0") is in_force
    assert book.entry("c1") is waited
    assert [book.entry(f"c{n}") is not None for n in (2, 3, 4, 5)] == [False, False, True, True]
    # c4 stays with c5: it was in force when the last command became known


def test_history_is_bounded(monkeypatch):
    monkeypatch.setattr(room, "_HISTORY", 2)
    book = Ledger()
    for number in (1, 2, 3):
        book.command(number, command(number, version=number))
    assert [entry.command.version for entry in book.in_force("t", "policy", "found").history] == [2, 3]


def test_a_roll_back_is_known_from_both_sides():
    book = Ledger()
    first = book.command(1, command(1))
    back = book.command(2, command(2, version=2, rolled_back_from="c1"))
    assert first.rolled_back_by is back
    assert back.rolled_back_by is None


def test_calls_by_identity_and_key():
    book = Ledger()
    call = RememberedCall(b"h", "c1")
    book.call("ann", "k", call)
    book.call("ann", "", RememberedCall(b"x", "c2"))
    assert book.former_call("ann", "k") == call
    assert book.former_call("bob", "k") is None
    assert book.former_call("ann", "") is None
    book.forget("ann", "k")
    book.forget("ann", "k")
    assert book.former_call("ann", "k") is None


def test_calls_are_bounded(monkeypatch):
    monkeypatch.setattr(room, "_CALLS", 2)
    book = Ledger()
    for number in range(3):
        book.call("ann", f"k{number}", RememberedCall(b"", str(number)))
    assert [book.former_call("ann", f"k{n}") is None for n in range(3)] == [True, False, False]


def test_the_audit_brings_back_what_compaction_took():
    book = Ledger()
    book.audit(issued(command(1)))
    entry = book.entry("c1")
    assert entry is not None
    assert entry.won is None
    assert book.former_call("ann", "k") == RememberedCall(b"h", "c1")
    book.audit(ControlAudit(status="OK", command_id="c1", method="Apply"))
    assert entry.won is True
    assert book.in_force("t", "policy", "found").history == [entry]
    assert book.in_force("t", "policy", "found").current is None


def test_an_outcome_or_an_unknown_command_says_nothing_of_the_log():
    book = Ledger()
    book.audit(issued(command(1)))
    book.audit(ControlAudit(status="OK", command_id="c1", method=room.OUTCOME))
    book.audit(ControlAudit(status="OK", command_id="c9", method="Apply"))
    book.audit(ControlAudit(status="ISSUED", command_id="c8"))
    assert book.entry("c1").won is None
    assert book.entry("c8") is None
    assert not book.in_force("t", "policy", "found").history


def test_an_aborted_call_may_be_made_again():
    book = Ledger()
    book.audit(issued(command(1)))
    book.audit(ControlAudit(status="ABORTED", command_id="c1", identity="ann", idempotency_key="k"))
    assert book.former_call("ann", "k") is None
    assert book.entry("c1").won is None


def test_what_is_in_force_is_not_superseded_and_what_was_is():
    book = Ledger()
    first, second, third = (book.command(n, command(n, version=n)) for n in (1, 2, 3))
    assert [each.superseded for each in (first, second, third)] == [True, True, False]
    assert [book.entry(f"c{n}") for n in (1, 2, 3)] == [first, second, third]


def test_a_key_is_torn_whichever_id_the_last_record_has():
    book = Ledger()
    book.command(1, command(2, version=2))
    book.command(2, command(1))
    assert book.in_force("t", "policy", "found").torn


def test_the_first_place_in_the_log_counts_be_it_zero():
    book = Ledger()
    entry = book.command(0, command(1))
    book.command(9, command(1))
    assert entry.offset == 0


def test_a_record_that_the_audit_told_of_first_takes_its_place():
    book = Ledger()
    book.audit(issued(command(1)))
    book.audit(ControlAudit(status="OK", command_id="c1", method="SwapModel"))
    entry = book.command(5, command(1))
    assert (entry.won, entry.offset, entry.superseded) == (True, 5, False)
    assert book.in_force("t", "policy", "found").current is entry


def test_a_record_that_the_audit_told_of_first_was_won_even_if_a_later_one_is_in_force():
    book = Ledger()
    later = book.command(7, command(2, version=2))
    book.audit(issued(command(1)))
    book.audit(ControlAudit(status="OK", command_id="c1", method="Apply"))
    entry = book.command(3, command(1))
    assert (entry.won, entry.offset, entry.superseded) == (True, 3, True)
    assert book.in_force("t", "policy", "found").current is later
    book.audit(ControlAudit(status="OK", command_id="c2", method="Apply"))
    assert not later.superseded


def test_only_what_was_issued_is_known_and_only_what_came_to_something_was_in_the_log():
    book = Ledger()
    for status in ("OK", "A", "Z"):
        record = issued(command(1))
        record.status = status
        book.audit(record)
    assert book.entry("c1") is None
    book.audit(issued(command(1)))
    for status in ("", "INTERNAL", "PERMISSION_DENIED"):
        book.audit(ControlAudit(status=status, command_id="c1", method="Apply", identity="ann", idempotency_key="k"))
    assert book.entry("c1").won is None
    assert book.former_call("ann", "k") is not None


@pytest.mark.parametrize(
    ("given", "why"),
    [(command(1, kind="no-such"), "no kind 'no-such'"), (command(1, topology="t" * 257), "topology has more")],
)
def test_a_command_that_is_none_is_refused(given, why):
    book = Ledger()
    with pytest.raises(ValueError, match=why):
        book.audit(issued(given))
    assert book.entry("c1") is None


def test_states_are_those_in_force_for_a_topologys_stages_in_the_order_in_which_they_came():
    book = Ledger()
    book.held("policy//nothing")  # asked for, and never set
    book.command(1, command(1, target="decided"))
    book.command(2, command(2, target="found"))
    book.command(3, command(3, target="decided", version=2))
    book.command(4, command(4, topology="", target="found"))
    book.command(5, command(5, topology="other"))
    book.command(6, command(6, kind="kill", topology="t", target=""))
    assert [each.command_id for each in book.states("t")] == ["c2", "c3", "c4"]
