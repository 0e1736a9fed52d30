"""``mevflow collect check`` on a real node, and on none."""

from __future__ import annotations

import json

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
