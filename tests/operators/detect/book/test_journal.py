"""What slots changed is put back: the state before the first of them, in any chain but the own left alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal, JournalState, TickNote
from mevflow.operators.detect.book.pools import PoolInfo
from mevflow.operators.sizing.kinds import KIND_CONSTANT_PRODUCT

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
