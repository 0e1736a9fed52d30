"""What slots changed is put back: the state before the first of them, in any chain but the own left alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.detect.book import journal as journal_module
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal, JournalState, TickNote
from mevflow.operators.detect.book.pools import PoolInfo
from mevflow.operators.sizing.kinds import KIND_BINS, KIND_CONSTANT_PRODUCT, KIND_STABLE

SOLANA, ETHEREUM = 1, 2


@pytest.fixture
def book():
    """Pools 0 and 1 on one chain, 2 on another; nothing has happened to them."""
    made = Book(2)
    for number, chain in enumerate((SOLANA, SOLANA, ETHEREUM)):
        made.info.append(PoolInfo(bytes([number]), (0, 1), 1, first=number))
        made.pools[number]["chain"] = chain
        made.pools[number]["kind"] = KIND_CONSTANT_PRODUCT
    made.count = 3
    return made


def change(journal, book, number, slot, reserve):
    """A swap in ``slot`` leaves ``reserve``."""
    journal.note(book, number, slot)
    book.pools[number]["slot"] = slot
    book.pools[number]["reserve_a"][0] = reserve


def reserves(book):
    return [int(book.pools[number]["reserve_a"][0]) for number in range(3)]


def test_undone_slots_leave_what_was_before_the_first_of_them(book):
    journal = Journal(10)
    for slot, reserve in ((1, 100), (2, 200), (2, 201), (3, 300)):
        change(journal, book, 0, slot, reserve)
    assert journal.noted == 3  # once a slot
    assert journal.undo(book, SOLANA, 2, 3) == ([0], [])
    assert reserves(book) == [100, 0, 0]
    assert int(book.pools[0]["slot"]) == 1
    assert journal.undo(book, SOLANA, 2, 3) == ([], [])
    assert journal.undo(book, SOLANA, 1, 1) == ([0], [])
    assert reserves(book) == [0, 0, 0]


def test_a_later_slot_keeps_what_it_told(book):
    journal = Journal(10)
    change(journal, book, 0, 1, 100)
    change(journal, book, 0, 2, 200)
    change(journal, book, 0, 3, 300)
    assert journal.undo(book, SOLANA, 2, 2) == ([], [])
    assert reserves(book)[0] == 300


def test_other_chains_and_other_slots_stay(book):
    journal = Journal(10)
    change(journal, book, 2, 5, 500)
    change(journal, book, 1, 4, 400)
    change(journal, book, 0, 5, 501)
    assert journal.undo(book, SOLANA, 5, 9) == ([0], [])
    assert reserves(book) == [0, 400, 500]
    assert journal.undo(book, ETHEREUM, 5, 5) == ([2], [])
    assert reserves(book) == [0, 400, 0]


@pytest.mark.parametrize(("chain", "left"), [(SOLANA, [0, 0, 502]), (ETHEREUM, [500, 501, 0])])
def test_one_chain_alone_goes_back_whichever_it_is(book, chain, left):
    journal = Journal(10)
    for number in range(3):
        change(journal, book, number, 5, 500 + number)
    journal.undo(book, chain, 5, 5)
    assert reserves(book) == left


def test_a_late_row_is_noted_no_more_than_it_changes_the_state(book):
    journal = Journal(10)
    change(journal, book, 0, 5, 500)
    journal.note(book, 0, 3)
    assert journal.noted == 1


def test_whether_a_pool_is_warm_is_not_of_the_chain(book):
    journal = Journal(10)
    change(journal, book, 0, 1, 100)
    book.pools[0]["warm"] = True
    journal.undo(book, SOLANA, 1, 1)
    assert book.pools[0]["warm"]


def test_changes_of_ticks_come_back_the_last_first(book):
    journal = Journal(10)
    notes = [TickNote(slot, pool, lower=slot) for slot, pool in ((1, 0), (2, 0), (2, 1), (3, 0), (2, 2))]
    for note in notes:
        journal.note_ticks(note)
    pools, ticks = journal.undo(book, SOLANA, 2, 3)
    assert pools == [0, 1]
    assert ticks == [notes[3], notes[2], notes[1]]
    assert journal.undo(book, SOLANA, 1, 9) == ([0], [notes[0]])


def test_a_depth_of_nothing_keeps_nothing(book):
    journal = Journal(0)
    change(journal, book, 0, 1, 100)
    journal.note_ticks(TickNote(1, 0))
    assert journal.noted == 0
    assert not len(journal.room(5))
    assert journal.undo(book, SOLANA, 0, 9) == ([], [])
    assert reserves(book)[0] == 100


def test_what_no_fork_can_reach_is_forgotten_by_chain(book):
    journal = Journal(3)
    change(journal, book, 2, 1, 1)
    for slot in range(1, 8):
        change(journal, book, 0, slot, slot)
        journal.note_ticks(TickNote(slot, 0))
    journal.forget(book)
    # The other chain's newest slot is 1: its note stays, and what lies behind it in the list with it.
    assert journal.undo(book, ETHEREUM, 1, 1) == ([2], [])
    journal.forget(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [5, 6, 7]
    pools, ticks = journal.undo(book, SOLANA, 0, 9)
    assert (pools, [note.slot for note in ticks]) == ([0], [7, 6, 5])
    assert reserves(book)[0] == 4


@pytest.mark.parametrize(("ahead", "behind"), [(0, 2), (2, 0)])
def test_how_far_a_fork_reaches_is_of_each_chain(book, ahead, behind):
    """Notes of the chain that is behind are within its own reach; old ones of the other are not, first as they lie."""
    journal = Journal(3)
    change(journal, book, ahead, 50, 50)
    for slot in (5, 6, 7):
        change(journal, book, behind, slot, slot)
    for slot in (99, 100):
        change(journal, book, ahead, slot, slot)
    journal.forget(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [5, 6, 7, 99, 100]
    change(journal, book, ahead, 103, 103)
    journal.forget(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [5, 6, 7, 99, 100, 103]  # what lies behind stays


def test_ticks_of_a_chain_without_other_notes_stay(book):
    journal = Journal(3)
    change(journal, book, 0, 9, 9)
    note = TickNote(0, 2)
    journal.note_ticks(note)
    journal.forget(book)
    assert journal.undo(book, ETHEREUM, 0, 0) == ([2], [note])


def test_a_snapshot_undoes_the_same(book):
    journal, other = Journal(10), Journal(10)
    change(journal, book, 0, 1, 100)
    change(journal, book, 0, 2, 200)
    journal.note_ticks(TickNote(2, 0, delta=b"x"))
    raw = msgspec.msgpack.encode(journal.snapshot(book))
    other.restore(msgspec.msgpack.decode(raw, type=JournalState))
    twin = Book(2)
    twin.info, twin.count, twin.pools = book.info, 3, book.pools.copy()
    assert other.undo(twin, SOLANA, 2, 2) == journal.undo(book, SOLANA, 2, 2)
    assert np.array_equal(twin.pools, book.pools)
    assert reserves(twin)[0] == 100
    change(other, twin, 0, 3, 300)  # a restored journal can be written to
    assert other.noted == 2


# -- pools whose state is beside the book ---------------------------------------------------------------------


def curved(book, number, *balances, kind=KIND_STABLE):
    """Make a pool one with a curve that holds ``balances``."""
    book.pools[number]["kind"] = kind
    book.info[number].curve = stable(*balances)


def stable(*balances):
    return StableState(balances, tuple(10**18 for _ in balances), amp=100, amp_precision=1, fee=4_000_000, admin_fee=0)


def bend(journal, book, number, slot, *balances):
    """A swap in ``slot`` leaves ``balances``."""
    journal.note(book, number, slot)
    book.pools[number]["slot"] = slot
    book.info[number].curve = stable(*balances)


@pytest.mark.parametrize("kind", [KIND_STABLE, KIND_BINS])
def test_a_curve_comes_back_with_its_row(book, kind):
    journal = Journal(10)
    curved(book, 0, 1, 1, kind=kind)
    for slot in (1, 2, 3):
        bend(journal, book, 0, slot, slot, 10 * slot)
    assert journal.undo(book, SOLANA, 2, 3) == ([0], [])
    assert book.info[0].curve == stable(1, 10)
    assert journal.undo(book, SOLANA, 1, 1) == ([0], [])
    assert book.info[0].curve == stable(1, 1)
    assert journal.undo(book, SOLANA, 0, 9) == ([], [])


def test_a_later_row_that_told_a_curve_whole_keeps_it(book):
    journal = Journal(10)
    curved(book, 0, 1, 1)
    for slot in (1, 2, 3):
        bend(journal, book, 0, slot, slot, 10 * slot)
    assert journal.undo(book, SOLANA, 2, 2) == ([], [])
    assert book.info[0].curve == stable(3, 30)
    # What slot 3 found before it is not there any more; what slot 1 found is.
    assert journal.undo(book, SOLANA, 1, 3) == ([0], [])
    assert book.info[0].curve == stable(1, 1)


def test_a_later_row_that_told_two_coins_of_three_leaves_a_curve_unknown(book):
    journal = Journal(10)
    curved(book, 0, 1, 1, 1)
    for slot in (1, 2, 3, 4):
        bend(journal, book, 0, slot, slot, 10 * slot, 5)
    assert journal.undo(book, SOLANA, 2, 2) == ([0], [])
    assert book.info[0].curve is None
    assert int(book.pools[0]["slot"]) == 4
    # Slot 4 was noted with what slot 2 had made: nor is that known. What slot 1 left is, for its note is older.
    assert journal.undo(book, SOLANA, 4, 4) == ([0], [])
    assert book.info[0].curve is None
    assert journal.undo(book, SOLANA, 1, 3) == ([0], [])
    assert book.info[0].curve == stable(1, 1, 1)


def test_a_late_row_takes_the_word_of_later_notes_alone(book):
    journal = Journal(10)
    for number in (0, 1):
        curved(book, number, 1, 1)
        for slot in (1, 2, 3):
            bend(journal, book, number, slot, slot, 10 * slot)
    journal.forget_curves(1, 2)
    assert journal.undo(book, SOLANA, 3, 3) == ([0, 1], [])
    assert (book.info[0].curve, book.info[1].curve) == (stable(2, 20), None)
    assert journal.undo(book, SOLANA, 2, 2) == ([0, 1], [])
    assert (book.info[0].curve, book.info[1].curve) == (stable(1, 10), stable(1, 10))


def test_a_face_has_no_curve_of_its_own(book):
    journal = Journal(10)
    curved(book, 0, 1, 1)
    curved(book, 1, 7, 7)
    book.info[1].first = 0
    bend(journal, book, 0, 1, 2, 20)
    journal.note(book, 1, 1)
    book.pools[1]["slot"] = 1
    assert journal.undo(book, SOLANA, 1, 1) == ([0, 1], [])
    assert (book.info[0].curve, book.info[1].curve) == (stable(1, 1), stable(7, 7))


def test_curves_too_are_forgotten_by_chain_and_live_in_a_snapshot(book):
    journal, other = Journal(2), Journal(2)
    for number in (0, 2):
        curved(book, number, 1, 1)
    bend(journal, book, 2, 1, 2, 20)
    for slot in (1, 2, 3, 4):
        bend(journal, book, 0, slot, slot, 10 * slot)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(journal.snapshot(book)), type=JournalState)
    assert sorted((slot, number) for slot, number, _ in saved.curves) == [(1, 2), (3, 0), (4, 0)]
    other.restore(saved)
    assert other.undo(book, SOLANA, 3, 9) == ([0], [])
    assert book.info[0].curve == stable(2, 20)
    assert other.undo(book, ETHEREUM, 1, 1) == ([2], [])
    assert book.info[2].curve == stable(1, 1)


def test_notes_are_looked_through_when_there_are_many(book, monkeypatch):
    monkeypatch.setattr(journal_module, "_MANY", 4)
    journal = Journal(2)
    for slot in range(1, 4):
        change(journal, book, 0, slot, slot)
        journal.tidy(book)
    assert journal.noted == 3
    change(journal, book, 0, 4, 4)
    journal.tidy(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [3, 4]
    for slot in range(5, 8):
        change(journal, book, 0, slot, slot)
        journal.tidy(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [5, 6, 7]
    for slot in range(8, 12):  # more at once than were looked for
        change(journal, book, 0, slot, slot)
    journal.tidy(book)
    assert journal.notes["slot"][: journal.noted].tolist() == [10, 11]
