"""The drawings name every node and every wire."""

from xml.etree import ElementTree

import pytest

from mevflow.flows.spec import graph
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from tests.flows import plugin


@pytest.fixture
def topology(tmp_path, monkeypatch):
    plugin.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    path = tmp_path / "t.yaml"
    path.write_text(
        "version: 1\ntopologies:\n  t:\n    summary: s & t\n    nodes:\n"
        "      numbers: {use: test.count}\n      sums: {use: test.sum, from: numbers}\n"
        "      kept: {use: test.file, from: sums, with: {path: x}}\n"
    )
    return resolve(load(path), "t")


def test_text_and_mermaid(topology):
    assert "sums [test.sum]  <- numbers.out" in graph.text(topology)
    assert "numbers --> sums" in graph.mermaid(topology)


def test_svg_is_well_formed_and_has_every_node(topology):
    root = ElementTree.fromstring(graph.svg(topology))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"numbers", "sums", "kept"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 3  # two wires and the arrow head
