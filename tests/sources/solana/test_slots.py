"""The chain of slots: whatever forks come between, what is given in the end is what the cluster confirmed."""

from __future__ import annotations

import random

import pytest

from mevflow.sources.solana.slots import RING, Missing, SlotBlock, SlotChain, SlotsGone, SlotStep, SlotTransaction


def block(slot: int, parent: int) -> SlotBlock:
    return SlotBlock(slot, parent, f"h{slot}", f"h{parent}", 1_000 + slot)


def transaction(slot: int, index: int) -> SlotTransaction:
    return SlotTransaction(index, b"", {"slot": slot})


class Heard:
    """What a reader of the steps holds for true."""

    def __init__(self) -> None:
        self.slots: list[SlotBlock] = []
        self.forks: list[int] = []

    def hear(self, steps: list[SlotStep]) -> list[int]:
        """Gives the slots that are asked for."""
        asked = []
        for step in steps:
            if isinstance(step, Missing):
                asked.append(step.slot)
            elif isinstance(step, SlotsGone):
                assert not step.alone or self.slots[-1].slot == step.first
                self.slots = [one for one in self.slots if one.slot < step.first]
                self.forks.append(step.fork)
            else:
                assert not self.slots or (step.parent == self.slots[-1].slot and step.slot > self.slots[-1].slot)
                self.slots.append(step)
        return asked


@pytest.mark.parametrize("seed", range(150))
def test_what_is_given_in_the_end_is_what_was_confirmed(seed: int) -> None:
    """Side branches of up to three blocks, some of which die; confirmations come some slots later."""
    chance, chain, heard = random.Random(seed), SlotChain(start=100), Heard()
    chain.connected(100)
    canonical, parent, slot, later = [], 99, 100, []
    for _ in range(60):
        if chance.random() < 0.3 and parent != 99:
            side = parent
            for _ in range(chance.randint(1, 3)):
                heard.hear(chain.transaction(slot, transaction(slot, 0)))
                heard.hear(chain.block(block(slot, side)))
                side, slot = slot, slot + 1
            if chance.random() < 0.4:
                heard.hear(chain.dead(side))
        for index in chance.sample(range(4), chance.randint(0, 4)):
            heard.hear(chain.transaction(slot, transaction(slot, index)))
        heard.hear(chain.block(block(slot, parent)))
        canonical.append(slot)
        later.append(slot)
        parent, slot = slot, slot + chance.randint(1, 2)
        if len(later) > chance.randint(0, 6):
            heard.hear(chain.confirm(later.pop(0)))
    for one in later:
        heard.hear(chain.confirm(one))
    assert [one.slot for one in heard.slots] == canonical
    assert [one.slot for one in chain.ring] == [99, *canonical][-RING:]
    assert heard.forks == sorted(set(heard.forks))
    for given in heard.slots:
        assert [one.index for one in given.transactions] == sorted(one.index for one in given.transactions)


def test_a_slot_that_dies_under_others_takes_them_with_it() -> None:
    chain, heard = SlotChain(start=1), Heard()
    chain.connected(1)
    for number in range(1, 6):
        heard.hear(chain.block(block(number, number - 1)))
    heard.hear(chain.dead(3))
    assert [one.slot for one in heard.slots] == [1, 2]
    heard.hear(chain.block(block(6, 2)))
    assert [one.slot for one in heard.slots] == [1, 2, 6]


def test_a_block_is_asked_for_by_its_descendants_and_then_all_follow() -> None:
    chain, heard = SlotChain(start=1), Heard()
    chain.connected(1)
    heard.hear(chain.block(block(1, 0)))
    assert heard.hear(chain.block(block(4, 3))) == [3]
    assert heard.hear(chain.block(block(5, 4))) == [3]
    assert heard.hear([*chain.fetched(block(2, 1)), *chain.fetched(block(3, 2)), *chain.go_on()]) == []
    assert [one.slot for one in heard.slots] == [1, 2, 3, 4, 5]


def test_a_stream_that_begins_in_the_middle_is_not_believed_to_be_whole() -> None:
    chain, heard = SlotChain(start=1), Heard()
    chain.connected(1)
    heard.hear(chain.block(block(1, 0)))
    chain.connected(None)
    heard.hear(chain.transaction(2, transaction(2, 7)))
    assert heard.hear(chain.block(block(2, 1))) == [2]
    assert [one.slot for one in heard.slots] == [1]


def test_what_never_ends_is_forgotten() -> None:
    chain = SlotChain(start=1)
    chain.connected(1)
    for slot in range(10, 10_000):
        chain.transaction(slot, transaction(slot, 0))
    assert len(chain._gathered) <= 2 * RING + 1
