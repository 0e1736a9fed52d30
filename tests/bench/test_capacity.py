"""The plan's arithmetic, and that the page is of the recorded figures."""

from mevflow.bench import capacity
from mevflow.bench.report import TARGET


def test_the_page_is_of_the_recorded_figures():
    shown = " ".join(capacity.document(TARGET.read_text()).split())
    assert " ".join(capacity.PAGE.read_text().split()) == shown, "python -m mevflow.bench.capacity writes it anew"


def test_needs_grow_with_the_rate_and_what_cannot_be_divided_ends_the_plan():
    of = capacity.cells(TARGET.read_text())
    needs = capacity.plan(of)
    for rate in capacity.MARKETS:
        once, tenfold = needs[rate.name, 1], needs[rate.name, 10]
        assert all(abs(tenfold[name] - 10 * once[name]) < 1e-9 * tenfold[name] for name in once)
    within = dict.fromkeys(capacity.NEEDS, 0.25)
    assert capacity.limit(within).startswith("none; nearest is ")
    assert capacity.limit(within | {"brokers": 2.5}) == "brokers: 3"
    alone = capacity.ALONE[0]
    assert capacity.limit(within | {"brokers": 2.5, alone: 1.5}) == f"{alone}: 1.5 of the one that there can be"
