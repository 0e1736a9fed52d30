"""Chains by name and number. A number is what messages carry; a name is what people, settings and tables have.

Solana is 1 and Ethereum 2. Every other EVM chain has its chain id (EIP-155) as number. A number that nobody named is
called ``evm-<number>``, which reads as a name too; 0 and negative numbers are no chain. A topology file names more
(``chains: {linea: 59144}``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.addresses import address
from mevflow.operators.errors import UsageError
from mevflow.v1 import market_pb2 as market

Value = TypeVar("Value")

SOLANA, ETHEREUM = market.CHAIN_SOLANA, market.CHAIN_ETHEREUM
#: The enum of the messages is an int32.
MAX_NUMBER = (1 << 31) - 1
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_UNNAMED = re.compile(r"evm-([1-9][0-9]{0,9})\Z")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its name, its number, and the token that its fees are paid in (wrapped; empty: not known)."""

    name: str
    number: int
    native: bytes = b""


_KNOWN = (
    Chain("solana", SOLANA, address("So11111111111111111111111111111111111111112")),
    Chain("ethereum", ETHEREUM, address("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")),
    Chain("bsc", 56, address("0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c")),
    Chain("polygon", 137, address("0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270")),
    Chain("base", 8453, address("0x4200000000000000000000000000000000000006")),
    Chain("arbitrum", 42161, address("0x82af49447d8a07e3bd95bd0d56f35241523fbab1")),
)
_BY_NUMBER = {chain.number: chain for chain in _KNOWN}
_NUMBERS = {chain.name: chain.number for chain in _KNOWN}


def number_of(name: str) -> int:
    """The number of a chain by its name. Raises UsageError that lists the known ones.

    >>> number_of("base"), number_of("evm-59144"), number_of("evm-1")
    (8453, 59144, 2)
    """
    number = _NUMBERS.get(name)
    if number is not None:
        return number
    unnamed = _UNNAMED.match(name)
    if unnamed is None:
        raise UsageError(
            f"no chain has that name: one of {', '.join(_NUMBERS)}, or evm-<chain id>",
            hint="a topology file names more: chains: {NAME: CHAIN_ID}",
            key="chain",
        )
    return number_of_id(int(unnamed[1]))


def checked_name(name: str) -> str:
    """``name`` when it is a chain's, for settings. Raises ValueError."""
    try:
        number_of(name)
    except UsageError as wrong:
        raise ValueError(wrong.message) from wrong
    return name


def checked_evm(table: Mapping[str, Value]) -> dict[str, Value]:
    """Settings by EVM chain, beside Ethereum's own. Raises ValueError for another chain, or one named twice."""
    numbers: dict[int, str] = {}
    for name in table:
        number = number_of(checked_name(name))
        if number in (SOLANA, ETHEREUM):
            raise ValueError(f"{name} has settings of its own beside `evm`")
        if numbers.setdefault(number, name) != name:
            raise ValueError(f"{name} and {numbers[number]} are one chain")
    return dict(table)


def name_of(number: int) -> str:
    """What a chain's number is called, whatever the number.

    >>> name_of(2), name_of(8453), name_of(59144), name_of(0)
    ('ethereum', 'base', 'evm-59144', 'unspecified')
    """
    known = _BY_NUMBER.get(number)
    return known.name if known else f"evm-{number}" if number > 0 else "unspecified"


def one_name(name: str) -> str:
    """The one name of a chain that ``name`` may call otherwise. Raises UsageError as :func:`number_of`.

    >>> one_name("evm-1"), one_name("base")
    ('ethereum', 'base')
    """
    return name_of(number_of(name))


def number_of_id(chain_id: int) -> int:
    """The number of the EVM chain with an EIP-155 chain id. Raises UsageError for an id that no number stands for."""
    if chain_id == 1:
        return ETHEREUM
    if not ETHEREUM < chain_id <= MAX_NUMBER:
        raise UsageError(f"chain id {chain_id} is not 1 or {ETHEREUM + 1} to {MAX_NUMBER}", key="chain")
    return chain_id


def id_of(number: int) -> int:
    """The EIP-155 chain id of an EVM chain's number."""
    return 1 if number == ETHEREUM else number


def is_evm(number: int) -> bool:
    """Whether a chain is an EVM chain: every one but Solana is."""
    return number >= ETHEREUM


def are_evm(numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """:func:`is_evm` of a column."""
    evm: NDArray[np.bool_] = numbers >= ETHEREUM
    return evm


def native_of(number: int) -> bytes:
    """The wrapped token that a chain's fees are paid in; empty where it is not known."""
    known = _BY_NUMBER.get(number)
    return known.native if known else b""


def names() -> tuple[str, ...]:
    """The chains that have a name."""
    return tuple(_NUMBERS)


def named(name: str, chain_id: int, native: str = "") -> Chain:
    """A chain of a topology file. Raises UsageError for a name or an id that is another chain's, or is none."""
    if not _NAME.match(name) or _UNNAMED.match(name) or name == "unspecified":
        raise UsageError(f"{name[:40]!r} is no name for a chain: lower-case letters, digits, - and _", key="chains")
    number = number_of_id(chain_id)
    known = _BY_NUMBER.get(number)
    if (known is not None and known.name != name) or _NUMBERS.get(name, number) != number:
        raise UsageError(f"{name} with id {chain_id} is taken: {name_of(number)} is {id_of(number)}", key="chains")
    try:
        token = address(native) if native else native_of(number)
    except ValueError:
        token = b"?"
    if len(token) not in (0, 20):
        raise UsageError(f"the native token of {name} is no address of 20 bytes", key="chains")
    return Chain(name, number, token)


def register(chains: Iterable[Chain]) -> None:
    """Name chains in this process, as the topology file that it runs does."""
    for chain in chains:
        _BY_NUMBER[chain.number] = chain
        _NUMBERS[chain.name] = chain.number
