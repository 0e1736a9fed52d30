"""``mevflow top``: rates between two looks."""

from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.cli.top import loads
from mevflow.operators.errors import UnreachableError


def look(at_s, rows, busy_s, pid=1, behind=0):
    counts = {"rows_in": rows, "rows_out": rows // 2, "busy_s": busy_s, "rejected": 3}
    shard = {"shard": 0, "pid": pid, "updated_s": at_s, "behind": behind, "nodes": {"found": counts}}
    return [{"topology": "t", "pid": 9, "shards": [shard]}]


def test_rates_are_of_the_time_between_two_looks():
    (load,) = loads(look(100.0, 1_000_000, 50.0), look(102.0, 1_000_400, 51.0, behind=7))
    assert (load.in_per_s, load.out_per_s, load.busy_pct) == (200.0, 100.0, 50.0)
    assert (load.dead_letters, load.behind) == (3, 7)


def test_a_shard_that_was_started_anew_has_no_rate_yet():
    (load,) = loads(look(100.0, 1_000_000, 50.0), look(102.0, 10, 0.1, pid=2))
    assert (load.in_per_s, load.busy_pct) == (0.0, 0.0)
    (load,) = loads(look(100.0, 5, 1.0), look(100.0, 5, 1.0))
    assert load.in_per_s == 0.0


def test_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    from mevflow.flows.config import config

    config.cache_clear()
    try:
        assert isinstance(CliRunner().invoke(cli, ["top", "--once"]).exception, UnreachableError)
    finally:
        config.cache_clear()
