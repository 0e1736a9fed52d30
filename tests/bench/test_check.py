"""A ratio that fell below what is recorded fails the check; a machine that is slow for a moment does not."""

import pytest

from mevflow.bench import check
from mevflow.bench.report import figures_of, sections

PAGE = """# Benchmarks

## pipeline

| figure | value | unit | against | ratio |
|---|---:|---|---|---:|
| detect: messages | 539,629 | messages/s | raw loop | 0.48 |
| opportunity rows | 0.00794 | a message |  |  |

## detect

| figure | value | unit | against | ratio |
|---|---:|---|---|---:|
| 4 legs | 37,000 | events/s | screened | 1,024.50 |
"""


def test_the_page_is_read_as_it_is_written():
    page = sections(PAGE)
    assert figures_of(page["pipeline"])["detect: messages"][3] == "0.48"
    assert figures_of(page["detect"])["4 legs"][3] == "1,024.50"


@pytest.mark.parametrize(("median", "fell"), [(0.48, False), (0.41, False), (0.40, True), (0.9, False)])
def test_what_fell_by_more_than_the_slack_is_told(median, fell):
    assert check.HeldRatio("pipeline", "detect: messages", 0.48, median).fell is fell


def test_every_recorded_bench_that_is_checked_has_ratios():
    page = sections(check.TARGET.read_text())
    for bench in check.BENCHES_CHECKED:
        assert any(cells[3] for cells in figures_of(page[bench]).values()), bench
