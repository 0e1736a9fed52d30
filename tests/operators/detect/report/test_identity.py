"""Ids made many at once are those that :func:`stable_id` gives one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.detect.report.identity import opportunity_ids
from mevflow.operators.ids import canonical, stable_id

_EDGES = [bound + step for bits in range(7, 65) for bound in (1 << bits,) for step in (-1, 0) if bound + step < 1 << 64]
_numbers = st.one_of(st.sampled_from([0, *_EDGES]), st.integers(0, (1 << 64) - 1))


@given(st.lists(st.tuples(_numbers, _numbers, st.binary(max_size=40)), min_size=1, max_size=5))
def test_ids_are_those_of_their_parts(rows):
    places = np.array([row[:2] for row in rows], np.uint64)
    made = opportunity_ids(canonical("opportunity", "flow"), places, [canonical(key) for *_, key in rows])
    assert made == [stable_id("opportunity", "flow", one, two, key) for one, two, key in rows]
