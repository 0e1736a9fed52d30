"""Chains by name and number: every number reads back, and no two names mean one chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators import chains
from mevflow.operators.chains import MAX_NUMBER, id_of, is_evm, name_of, named, number_of, number_of_id
from mevflow.operators.errors import UsageError


@given(st.integers(1, MAX_NUMBER))
def test_every_number_has_a_name_that_reads_back(number: int) -> None:
    assert number_of(name_of(number)) == number
    assert is_evm(number) == (name_of(number) != "solana")
    if is_evm(number):
        assert number_of_id(id_of(number)) == number


def test_numbers_of_old_messages_stay() -> None:
    assert {name: number_of(name) for name in ("solana", "ethereum", "base", "arbitrum", "bsc", "polygon")} == {
        "solana": 1, "ethereum": 2, "base": 8453, "arbitrum": 42161, "bsc": 56, "polygon": 137,
    }  # fmt: skip
    assert (number_of("evm-1"), id_of(2), number_of("evm-8453")) == (2, 1, 8453)


@pytest.mark.parametrize(
    "name", ["", "Base", "evm-0", "evm-2", "evm-01", "evm-99999999999", "evm-2147483648", "x" * 99]
)
def test_what_is_no_chain_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        number_of(name)


@pytest.mark.parametrize(
    ("name", "chain_id", "native"),
    [
        ("mine", 8453, ""),  # base
        ("base", 59144, ""),
        ("solana", 59144, ""),
        ("evm-59144", 59144, ""),
        ("mine", 2, ""),
        ("mine", 0, ""),
        ("mine", 1 << 31, ""),
        ("A b", 59144, ""),
        ("mine", 59144, "0x12"),
        ("mine", 59144, "what"),
    ],
)
def test_a_name_or_an_id_that_is_taken_is_refused(name: str, chain_id: int, native: str) -> None:
    with pytest.raises(UsageError):
        named(name, chain_id, native)


def test_a_registered_chain_has_its_name_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "_BY_NUMBER", dict(chains._BY_NUMBER))
    monkeypatch.setattr(chains, "_NUMBERS", dict(chains._NUMBERS))
    chains.register([named("linea", 59144, "0x" + "e5" * 20)])
    assert (number_of("linea"), number_of("evm-59144"), name_of(59144)) == (59144, 59144, "linea")
    assert chains.native_of(59144) == bytes([0xE5]) * 20
