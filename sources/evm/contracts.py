"""Reading contracts by ``eth_call`` at one block: what is asked, and answers as numbers, addresses and text.

Calls name the block by its hash (EIP-1898), so that all answers are of one state whatever the chain does meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from Crypto.Hash import keccak

from mevflow.sources.evm.rpc import CallError, NodeError, RpcNode

_MAX_SYMBOL = 32


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A function of a contract, its arguments as whole words."""

    to: bytes
    function: str
    words: tuple[int, ...] = ()

    def data(self) -> str:
        """Selector and arguments."""
        selector = keccak.new(digest_bits=256, data=self.function.encode()).digest()[:4]
        return "0x" + selector.hex() + b"".join((word % (1 << 256)).to_bytes(32, "big") for word in self.words).hex()


def read(node: RpcNode, calls: Sequence[ContractCall], block: bytes) -> list[bytes | None]:
    """Each call's answer at the block with that hash; None where the contract reverts or there is none.

    Raises NodeError when the node does not have that block's state: a call that fails for that reason looks like one
    that reverts, so a question that cannot revert is asked beside them.
    """
    if not calls:
        return []
    at = {"blockHash": "0x" + block.hex()}
    asked: list[tuple[str, tuple[object, ...]]] = [("eth_getTransactionCount", ("0x" + bytes(20).hex(), at))]
    asked += [("eth_call", ({"to": "0x" + one.to.hex(), "data": one.data()}, at)) for one in calls]
    probe, *answers = node.batch(asked)
    if isinstance(probe, CallError):
        raise NodeError(f"does not have the state of block 0x{block.hex()}", key=node.name)
    found: list[bytes | None] = []
    for answer in answers:
        if isinstance(answer, CallError):
            found.append(None)
            continue
        try:
            data = bytes.fromhex(msgspec.json.decode(answer, type=str)[2:])
        except (msgspec.DecodeError, ValueError) as wrong:
            raise NodeError(f"answered eth_call with no bytes: {wrong}", key=node.name) from wrong
        found.append(data or None)
    return found


def number(data: bytes | None, word: int = 0) -> int | None:
    """A word as an unsigned number."""
    return (
        None if data is None or len(data) < 32 * (word + 1) else int.from_bytes(data[32 * word : 32 * word + 32], "big")
    )


def integer(data: bytes, word: int = 0) -> int:
    """A word as a signed number."""
    return int.from_bytes(data[32 * word : 32 * word + 32], "big", signed=True)


def listed(data: bytes | None, which: int = 0) -> list[int]:
    """The numbers of an answer's list, whose offset is its word ``which``; none where it is not whole."""
    at = (number(data, which) or 0) // 32
    count = number(data, at) if at else None
    if data is None or count is None or len(data) < 32 * (at + 1 + count):
        return []
    return [int.from_bytes(data[32 * word : 32 * word + 32]) for word in range(at + 1, at + 1 + count)]


def address(data: bytes | None) -> bytes | None:
    """A word as an address."""
    return None if data is None or len(data) < 32 or any(data[:12]) else data[12:32]


def text(data: bytes | None) -> str:
    """A symbol: ``string``, or ``bytes32`` as the first tokens have it; printable and short, else nothing."""
    if data is None:
        return ""
    raw = data.rstrip(b"\0") if len(data) == 32 else b""
    if len(data) >= 96 and int.from_bytes(data[:32], "big") == 32:
        size = int.from_bytes(data[32:64], "big")
        raw = data[64 : 64 + size] if size <= _MAX_SYMBOL else b""
    said = raw.decode("utf-8", "replace")
    return said if said.isprintable() and len(said) <= _MAX_SYMBOL else ""
