"""Latency is of what was sent after the warm-up, by profile and rate, beside what is asked of it."""

from mevflow.bench.latency import SECONDS, TOPOLOGY, WARM_SECONDS, Case, _figures
from mevflow.bench.stand import ROOT
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load


def test_percentiles_are_of_what_came_after_the_warm_up():
    case = Case("latency", 1_000, {"P50": 2.0})
    total, chunk = case.rate * (SECONDS + WARM_SECONDS), 5
    sent = {"chunk": chunk, "sent_s": [number * 0.005 for number in range(total // chunk)], "seconds": 20.0}
    warm = case.rate * WARM_SECONDS
    sequence = [0, warm, warm + 7, warm + 12]
    late_s = [9.0, 0.001, 0.004, 0.010]
    arrived = [sent["sent_s"][swap // chunk] + late for swap, late in zip(sequence, late_s, strict=True)]
    figures = {each["name"]: each for each in _figures(sent, {"sequence": sequence, "arrived_s": arrived}, case, total)}
    which = "profile latency, 1,000/s: "
    assert figures[which + "decisions measured"]["value"] == 3
    assert round(figures[which + "send to decision, P50"]["value"], 6) == 4.0
    assert round(figures[which + "send to decision, P50"]["ratio"], 6) == 2.0
    assert round(figures[which + "send to decision, max"]["value"], 6) == 10.0
    assert figures[which + "send to decision, P99"]["ratio"] is None


def test_a_profile_sets_what_the_topology_does_not(tmp_path):
    file = tmp_path / "latency.yaml"
    settings = {}
    for profile in ("latency", "throughput"):
        file.write_text(TOPOLOGY.format(bootstrap="127.0.0.1:9092", root=ROOT, profile=profile))
        nodes = {node.name: node.settings for node in resolve(load(file), "latency").nodes}
        settings[profile] = nodes["swaps"].fetch_min_bytes, nodes["decisions"].linger_ms
    assert settings == {"latency": (1, 0), "throughput": (1_000_000, 50)}
