"""A short form of ``make fuzz``: no entry raises what it does not document, takes long, or grows."""

import pytest

from tests.fuzz.entries import entries
from tests.fuzz.run import run

_INPUTS = 4_000
_LEAST = 20
#: Of learned states: most are whole in form.
_STATES = 100


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_damaged_inputs_are_refused_in_the_entrys_own_words(entry):
    least = _STATES if entry.name.startswith("model command") else _LEAST
    found = run(entry, max(least, int(_INPUTS * entry.share)), 7)
    assert not found.failures
