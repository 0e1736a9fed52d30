"""Validation: names, settings, ports, schemas, cycles, loose error ports; all at once."""

import sys

import pytest

from mevflow.flows.spec.resolve import check, resolve
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import UsageError
from tests.flows import plugin


@pytest.fixture
def parse(tmp_path, monkeypatch):
    plugin.install(tmp_path / "site")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])

    def parse(nodes: str):
        path = tmp_path / "t.yaml"
        path.write_text("version: 1\ntopologies:\n  t:\n    nodes:\n" + nodes)
        return load(path)

    return parse


def problems(file):
    found = {}
    for p in check(file, "t")[1]:
        found[p.line, p.key] = found.get((p.line, p.key), "") + f"{p.message} ({p.suggestion})\n"
    return found


def test_a_right_one_resolves_in_order_of_its_inputs(parse):
    file = parse(
        "      kept: {use: test.file, from: sums, with: {path: x}}\n"
        "      sums: {use: test.sum, from: numbers}\n"
        "      numbers: {use: test.count}\n"
    )
    topology = resolve(file, "t")
    assert [node.name for node in topology.nodes] == ["numbers", "sums", "kept"]
    assert topology.nodes[1].wires[0].source_port == "out"


def test_every_problem_is_reported_at_once(parse):
    found = problems(
        parse(
            "      numbers: {use: test.count, with: {stopp: 3, rows: many}}\n"
            "      sums: {use: test.summ, from: nmbers}\n"
            "      kept: {use: test.file, from: numbers.in, with: {}}\n"
        )
    )
    assert "did you mean 'stop'" in found[(5, "t.numbers.with.stopp")]
    assert (5, "t.numbers.with.rows") in found
    assert "did you mean 'test.sum'" in found[(6, "t.sums.use")]
    assert "did you mean 'numbers'" in found[(6, "t.sums.from")]
    assert (7, "t.kept.with.path") in found


def test_ports_and_schemas(parse):
    found = problems(
        parse(
            "      numbers: {use: test.count}\n"
            "      sums: {use: test.sum, from: numbers}\n"
            "      again: {use: test.sum, from: sums}\n"
            "      odd: {use: test.sum, from: {inn: numbers}}\n"
            "      fed: {use: test.count, from: numbers}\n"
            "      raw: {use: decode, from: numbers, with: {message: mevflow.v1.Swop}}\n"
            "      kept: {use: test.file, from: [again.what, odd, fed], with: {path: x}}\n"
        )
    )
    assert "does not fit" in found[(7, "t.again.from")]
    assert "no input port 'inn'" in found[(8, "t.odd.from")]
    assert "takes no input" in found[(9, "t.fed.from")]
    assert "unknown message" in found[(10, "t.raw.with.message")]
    assert "no port 'what'" in found[(11, "t.kept.from")]


def test_loose_ends_and_cycles(parse):
    found = problems(
        parse(
            "      numbers: {use: test.count}\n"
            "      raw: {use: kafka.source, with: {topic: t, bootstrap: b}}\n"
            "      swaps: {use: decode, from: raw, with: {message: mevflow.v1.Swap}}\n"
            "      a: {use: test.sum, from: b}\n"
            "      b: {use: test.sum, from: a}\n"
            "      c: {use: test.sum}\n"
        )
    )
    assert "nothing takes its output" in found[(5, "t.numbers")]
    assert any("errors" in text for (line, _), text in found.items() if line == 7)
    assert any("cycle" in text for text in found.values())
    assert any("no input" in text for (line, _), text in found.items() if line == 10)


def test_resolve_raises_with_the_whole_list(parse):
    with pytest.raises(UsageError, match=r"(?s)t\.a\.use.*t\.b\.use"):
        resolve(parse("      a: {use: nothing}\n      b: {use: nothing, from: a}\n"), "t")


_PROFILED = """\
version: 1
defaults:
  clickhouse: {{flush_ms: 70}}
topologies:
  t:
    {profile}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: t, fetch_wait_ms: 3}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      kept: {{use: clickhouse.sink, from: decoded}}
      sent: {{use: kafka.sink, from: decoded, with: {{topic: u}}}}
      rejects: {{use: discard.sink, from: decoded.errors}}
"""


@pytest.mark.parametrize(
    ("profile", "least", "linger_ms"), [("latency", 1, 0), ("throughput", 1_000_000, 50), ("", 50_000, 5)]
)
def test_a_profile_stands_for_what_nobody_has_set(tmp_path, profile, least, linger_ms):
    path = tmp_path / "t.yaml"
    path.write_text(_PROFILED.format(profile=f"profile: {profile}" if profile else "summary: none"))
    nodes = {node.name: node.settings for node in resolve(load(path), "t").nodes}
    assert (nodes["swaps"].fetch_min_bytes, nodes["swaps"].fetch_wait_ms) == (least, 3)
    assert nodes["kept"].flush_ms == 70
    assert nodes["sent"].linger_ms == linger_ms


@pytest.mark.parametrize("profile", ["latancy", "[latency]", "1"])
def test_a_profile_that_there_is_not_is_a_problem(tmp_path, profile):
    path = tmp_path / "t.yaml"
    path.write_text(_PROFILED.format(profile=f"profile: {profile}"))
    (problem,) = load(path).problems
    assert (problem.line, problem.key) == (6, "t.profile")
    assert "latency" in problem.suggestion
    with pytest.raises(UsageError, match=r"t\.profile"):
        resolve(load(path), "t")
