"""The topology file: read with lines, variables filled in, every fault reported at once."""

from pathlib import Path

import pytest

from mevflow.flows.spec.topology import load
from mevflow.operators import chains
from mevflow.operators.errors import UsageError

GOOD = """\
version: 1
defaults: {kafka: {bootstrap: "${BROKER:-127.0.0.1:9}"}}
topologies:
  one:
    summary: first
    shards: 2
    nodes:
      swaps: {use: kafka.source, with: {topic: t}}
      decoded: {use: decode, from: swaps, with: {message: mevflow.v1.Swap}}
      out: {use: clickhouse.sink, from: [decoded, decoded.errors]}
      two: {use: arbitrage.detect, from: {swaps: decoded, updates: decoded.out}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "topologies.yaml"
    path.write_text(text)
    return path


def test_reads_nodes_edges_and_lines(tmp_path, monkeypatch):
    monkeypatch.delenv("BROKER", raising=False)
    file = load(write(tmp_path, GOOD))
    assert file.problems == ()
    assert file.defaults == {"kafka": {"bootstrap": "127.0.0.1:9"}}
    one = file.get("one")
    assert (one.shards, one.summary, one.line) == (2, "first", 4)
    assert one.nodes["swaps"].line == 8
    assert [(e.source, e.source_port, e.port) for e in one.nodes["out"].edges] == [
        ("decoded", "", ""),
        ("decoded", "errors", ""),
    ]
    assert [(e.source, e.source_port, e.port) for e in one.nodes["two"].edges] == [
        ("decoded", "", "swaps"),
        ("decoded", "out", "updates"),
    ]


def test_chains_are_named_and_wrong_ones_are_problems(tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "_BY_NUMBER", dict(chains._BY_NUMBER))
    monkeypatch.setattr(chains, "_NUMBERS", dict(chains._NUMBERS))
    native = "0x" + "e5" * 20
    said = f'chains: {{linea: 59144, mine: {{id: 777777, native: "{native}"}}}}\n'
    file = load(write(tmp_path, GOOD.replace("topologies:", said + "topologies:", 1)))
    assert file.problems == ()
    assert (chains.number_of("linea"), chains.name_of(777_777)) == (59144, "mine")
    wrong = "chains: {base: 5, x: true, y: {id: 9, what: 1}}\n"
    file = load(write(tmp_path, GOOD.replace("topologies:", wrong + "topologies:", 1)))
    assert [problem.key for problem in file.problems] == ["chains.base", "chains.x", "chains.y"]
    with pytest.raises(UsageError):
        chains.number_of("y")


def test_environment_wins_over_the_default_and_a_missing_one_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("BROKER", "b:1")
    assert load(write(tmp_path, GOOD)).defaults["kafka"]["bootstrap"] == "b:1"
    file = load(write(tmp_path, GOOD.replace("topic: t", 'topic: "${NOT_SET_ANYWHERE}"')))
    assert [(p.line, p.key) for p in file.problems] == [(8, "one.swaps.with.topic")]
    assert "NOT_SET_ANYWHERE" in file.problems[0].message


def test_reports_every_fault_with_its_line(tmp_path):
    file = load(
        write(
            tmp_path,
            "version: 2\nextra: 1\ntopologies:\n  Bad Name:\n    nodes: {}\n  ok:\n    shard: 3\n    shards: zero\n"
            "    nodes:\n      a: {with: {}}\n      b: {use: decode, form: a}\n",
        )
    )
    assert {(p.line, p.key) for p in file.problems} == {
        (1, "version"),
        (2, "extra"),
        (4, "Bad Name"),
        (5, "Bad Name.nodes"),
        (7, "ok.shard"),
        (8, "ok.shards"),
        (10, "ok.a"),
        (11, "ok.b.form"),
    }
    assert "'shards'" in next(p for p in file.problems if p.key == "ok.shard").suggestion


def test_unreadable_and_unparsable_files(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"topologies\.yaml:2"):
        load(write(tmp_path, "version: 1\n  bad: [\n"))


def test_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(UsageError, match="one of one"):
        load(write(tmp_path, GOOD)).get("two")
