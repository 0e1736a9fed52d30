"""``mevflow collect check`` on a real node, and on none."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from mevflow.cli.collect import command
from mevflow.operators.errors import CheckFailedError, UsageError
from tests.evm.chain import Chain
from tests.sources.solana.node import Node, chain


def test_a_node_that_can_do_all() -> None:
    node = Chain()
    try:
        node.mine(5)
        done = CliRunner().invoke(command, ["check", node.url, "--json"])
    finally:
        node.close()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one["works"] for one in found if one["needed"])
    assert found[0]["detail"].startswith("chain 31337, block 5")


def test_no_node_and_no_address() -> None:
    nothing = CliRunner().invoke(command, ["check", "http://127.0.0.1:9"]).exception
    assert isinstance(nothing, CheckFailedError)
    wrong = CliRunner().invoke(command, ["check", "ftp://node"]).exception
    with pytest.raises(UsageError, match="http://"):
        raise wrong


def test_a_geyser_endpoint(tmp_path: Path) -> None:
    """One that streams, one that wants another token, one that says nothing, and none at all."""
    node = Node(token="secret")
    (tmp_path / "token").write_text("secret")
    node.say(*(update for block in chain(3) for update in block.updates()))
    stop = threading.Event()

    def go_on() -> None:
        for block in chain(100_000, 200):
            if stop.wait(0.02):
                return
            node.say(*block.updates())

    telling = threading.Thread(target=go_on)
    telling.start()
    try:
        done = CliRunner().invoke(command, ["check", node.url, "--token-file", str(tmp_path / "token"), "--json"])
        refused = CliRunner().invoke(command, ["check", node.url.replace("grpc", "http"), "--geyser", "--json"])
    finally:
        stop.set()
        telling.join()
        node.close()
    assert done.exit_code == 0, done.output
    found = {one["what"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert all(one["works"] for one in found.values())
    assert found["goes back"]["detail"] == "to slot 0"
    assert isinstance(refused.exception, CheckFailedError)
    assert "UNAUTHENTICATED" in refused.output
    nothing = CliRunner().invoke(command, ["check", "grpc://127.0.0.1:1"])
    assert isinstance(nothing.exception, CheckFailedError)
    assert isinstance(CliRunner().invoke(command, ["check", "ws://node", "--geyser"]).exception, UsageError)


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
        "  there:\n"
        "    nodes:\n"
        "      chain: {use: yellowstone.source, with: {endpoints: [{url: http://127.0.0.1:1}]}}\n"
        "      swaps: {use: discard, from: [chain.swaps, chain.updates, chain.errors]}\n"
        "  other:\n"
        "    nodes: {swaps: {use: kafka.source, with: {topic: dex-swaps-proto}}}\n"
    )
    said = CliRunner().invoke(command, ["status", "--file", str(file), "--json"])
    assert said.exit_code == 0, said.output
    row, solana = [json.loads(line) for line in said.stdout.splitlines()]
    assert (row["topology"], row["chain"], row["state"], row["behind"]) == ("here", "base", "never deployed", 0)
    assert (solana["topology"], solana["chain"]) == ("there", "solana")
    without = file.read_text().replace("evm.source", "kafka.source").replace("yellowstone.source", "kafka.source")
    file.write_text(without)
    assert isinstance(CliRunner().invoke(command, ["status", "--file", str(file)]).exception, UsageError)
