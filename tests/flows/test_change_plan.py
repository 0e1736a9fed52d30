"""What a change of a topology would change, from two files: nothing runs."""

import pytest

from mevflow.flows.runtime.change_plan import ChangePlan, Difference
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.spec.resolve import resolve
from mevflow.operators.errors import UsageError

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "127.0.0.1:1"}}, clickhouse: {{host: "{host}", user: "${{WHO:-nobody}}"}}}}
topologies:
  archive:
    control: {{enabled: false}}
    nodes:
      swaps:   {{use: kafka.source, with: {{topic: dex-swaps-proto, start: {start}}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      kept:    {{use: clickhouse.sink, from: decoded, with: {{password: "{password}"}}}}
      {rejects}: {{use: discard.sink, from: decoded.errors}}
"""


@pytest.fixture
def spec(tmp_path):
    """The deployment of a file."""

    def make(shards=1, **given):
        text = FILE.format(**{"host": "here", "start": "earliest", "password": "one", "rejects": "rejects", **given})
        where = {"file": str(tmp_path / "t.yaml"), "root": str(tmp_path), "var": str(tmp_path)}
        return RunSpec(**where, topology="archive", shards=shards, shape="", deployment="d1", text=text)

    return make


def plan(former, wanted):
    return ChangePlan(former, wanted, resolve(wanted.topology_file(), "archive"))


def test_what_differs_is_said_setting_by_setting(spec):
    assert plan(spec(), spec()).differences() == []
    found = plan(spec(), spec(shards=2, host="there", start="latest", rejects="bin")).differences()
    assert found == [
        Difference("", "changed", "shards", "1", "2"),
        Difference("swaps", "changed", "start", '"earliest"', '"latest"'),
        Difference("kept", "changed", "host", '"here"', '"there"'),
        Difference("rejects", "removed", before='"discard.sink"'),
        Difference("bin", "added", after='"discard.sink"'),
    ]


def test_what_is_secret_or_of_the_environment_is_not_said(spec, monkeypatch):
    monkeypatch.setenv("WHO", "a-name-of-the-environment")
    found = plan(spec(), spec(password="other", host="a-name-of-the-environment")).differences()
    assert found == [
        Difference("kept", "changed", "host", '"here"', '"${WHO}"'),
        Difference("kept", "changed", "password", '"**********"', '"**********"'),
    ]


def test_a_plan_is_another_when_what_runs_or_what_would_run_is_another(spec):
    planned = plan(spec(), spec(start="latest")).id
    plan(spec(), spec(start="latest")).check(planned)
    for other in (plan(spec(), spec()), plan(spec(), spec(start="latest", shards=2))):
        with pytest.raises(UsageError, match="changed since it was planned"):
            other.check(planned)
