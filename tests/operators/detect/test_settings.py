"""The registry file: what it may say, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mevflow.operators.detect.settings import DetectSettings, address, load_registry
from mevflow.operators.errors import UsageError
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import REGISTRY


def test_the_registry_that_ships_has_a_numeraire_a_chain() -> None:
    tokens = load_registry(REGISTRY).tokens
    numeraires = {token.key[0]: token.symbol for token in tokens if token.role == "numeraire"}
    assert numeraires == {market.CHAIN_SOLANA: "USDC", market.CHAIN_ETHEREUM: "USDC"}
    assert {len(token.key[1]) for token in tokens if token.chain == "solana"} == {32}
    assert {len(token.key[1]) for token in tokens if token.chain == "ethereum"} == {20}


def test_an_address_is_base58_or_hex() -> None:
    assert address("0x00ff") == b"\x00\xff"
    assert address("So11111111111111111111111111111111111111112")[-1] == 1


@pytest.mark.parametrize(
    "text",
    [
        "tokens: [",
        "tokens: [{chain: mars, mint: '0x00', symbol: X, decimals: 6}]",
        "tokens: [{chain: solana, mint: '0OIl', symbol: X, decimals: 6}]",
        "tokens: [{chain: solana, mint: '0x00', symbol: X, decimals: 99}]",
        "tokens: [{chain: solana, mint: '0x00', symbol: X, decimals: 6, role: king}]",
        "deny_pools: ['0xzz']",
        "pools: []",
        "- 1",
    ],
)
def test_a_wrong_registry_is_a_fault_of_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pools.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as wrong:
        load_registry(str(path))
    assert str(path) in str(wrong.value)


def test_a_missing_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the registry"):
        load_registry(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "wrong",
    [{"max_hops": 5}, {"min_profit_usd": float("nan")}, {"costs": {"ethereum": {"base_fee_wei": -1}}}, {"hops": 2}],
)
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DetectSettings(registry=REGISTRY, **wrong)
