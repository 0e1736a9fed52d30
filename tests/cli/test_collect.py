"""``mevflow collect check`` on a real node, and on none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mevflow.cli.collect import command
from mevflow.operators.errors import CheckFailedError, UsageError
from tests.evm.chain import Chain


def test_a_node_that_can_do_all() -> None:
    chain = Chain()
    try:
        chain.mine(5)
        done = CliRunner().invoke(command, ["check", chain.url, "--json"])
    finally:
        chain.close()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one["works"] for one in found if one["needed"])
    assert found[0]["detail"].startswith("chain 31337, block 5")


def test_no_node_and_no_address() -> None:
    nothing = CliRunner().invoke(command, ["check", "http://127.0.0.1:9"]).exception
    assert isinstance(nothing, CheckFailedError)
    wrong = CliRunner().invoke(command, ["check", "ftp://node"]).exception
    with pytest.raises(UsageError, match="http://"):
        raise wrong


def test_how_collecting_goes(tmp_path: Path) -> None:
    """Every node that collects, by its chain; a file without one says so."""
    file = tmp_path / "topologies.yaml"
    file.write_text(
        "version: 1\n"
        "topologies:\n"
        "  here:\n"
        "    nodes:\n"
        "      chain: {use: evm.source, with: {chain: base, endpoints: [{url: http://127.0.0.1:1}]}}\n"
        "      swaps: {use: discard, from: [chain.swaps, chain.updates, chain.errors]}\n"
        "  other:\n"
        "    nodes: {swaps: {use: kafka.source, with: {topic: dex-swaps-proto}}}\n"
    )
    said = CliRunner().invoke(command, ["status", "--file", str(file), "--json"])
    assert said.exit_code == 0, said.output
    (row,) = [json.loads(line) for line in said.stdout.splitlines()]
    assert (row["topology"], row["chain"], row["state"], row["behind"]) == ("here", "base", "never deployed", 0)
    file.write_text(file.read_text().replace("evm.source", "kafka.source"))
    assert isinstance(CliRunner().invoke(command, ["status", "--file", str(file)]).exception, UsageError)
