"""The sink's rules hold for every sequence of steps; each former rule has a sequence that breaks it."""

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tests.model.sink_model import ROWS, Rules, World

#: The first sequence that breaks a rule will do: it need not be the shortest.
FIND = settings(max_examples=5_000, phases=(Phase.generate,), deadline=None)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(1, ROWS)),
        st.tuples(st.just("snapshot"), st.booleans()),
        st.tuples(st.just("crash"), st.integers(0, 2)),
        st.tuples(st.just("stand_still")),
    ),
    max_size=8,
)


def faults(rules, steps):
    world = World(rules)
    for step, *arguments in steps:
        getattr(world, step)(*arguments)
    world.finish()
    return world.faults()


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_every_row_is_stored_once_whatever_happens(steps):
    assert faults(Rules(), steps) == {"lost": [], "doubled": []}


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (Rules(keeps_again=False), "doubled"),  # a snapshot that forgets what has not come again: the second crash
        (Rules(by_row=False), "lost"),  # a block's range of offsets that is believed whole: two months in one cut
        (Rules(fenced=False), "doubled"),  # two of one thing at once: a process that stood still
    ],
    ids=["forgets", "believes ranges", "no fence"],
)
def test_the_model_finds_what_was_wrong_with_the_former_rules(rules, what):
    steps = find(STEPS, lambda steps: bool(faults(rules, steps)[what]), settings=FIND)
    assert faults(Rules(), steps) == {"lost": [], "doubled": []}
