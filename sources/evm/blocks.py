"""Blocks and their logs, as a node says and as far as it can be believed.

Logs of a block are asked for by its hash, so that they are that block's whatever the node has seen since. A node
behind a load balancer may know a block and not its logs: no logs are believed only when the header's bloom says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mevflow.operators.parse.evm.logs import LogJson
from mevflow.sources.evm.bloom import bits_of, may_hold
from mevflow.sources.evm.rpc import CallError, NodeError, RpcNode


class _HeaderJson(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str = "0x"


class _LogJson(msgspec.Struct):
    address: str
    topics: list[str]


@dataclass(frozen=True, slots=True)
class Header:
    """A block: number, hash and its parent's (32 bytes), time (seconds), bloom as a number."""

    number: int
    hash: bytes
    parent: bytes
    timestamp_s: int
    bloom: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block and those of its logs that were asked for, in the order of their log index."""

    header: Header
    logs: list[LogJson]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs: those whose first topic is one of ``topics``, of ``addresses`` only unless that is empty."""

    topics: tuple[bytes, ...]
    addresses: tuple[bytes, ...] = ()

    def json(self) -> dict[str, Any]:
        """The filter's part of an ``eth_getLogs`` object."""
        asked: dict[str, Any] = {"topics": [["0x" + topic.hex() for topic in self.topics]]}
        if self.addresses:
            asked["address"] = ["0x" + address.hex() for address in self.addresses]
        return asked

    def blooms(self) -> list[int]:
        """One number for each log that would match: its topic's bits, and its address's where addresses are given."""
        topics = [bits_of(topic) for topic in self.topics]
        if not self.addresses:
            return topics
        return [topic | address for address in map(bits_of, self.addresses) for topic in topics]


def header(node: RpcNode, block: int | str) -> Header | None:
    """A block's header by number or tag (``latest``, ``finalized``); None when the node has none. Raises NodeError."""
    (found,) = headers(node, [block])
    return found


def by_hash(node: RpcNode, block: str) -> Header:
    """A block's header by its hash. Raises NodeError when the node does not have it."""
    try:
        found = _header(node, node.call("eth_getBlockByHash", block, False))
    except CallError as wrong:
        raise NodeError(str(wrong.message), key=node.name) from wrong
    if found is None:
        raise NodeError(f"has no block {block}", key=node.name)
    return found


def headers(node: RpcNode, blocks: Sequence[int | str]) -> list[Header | None]:
    """Several headers in one request. Raises NodeError."""
    asked = [("eth_getBlockByNumber", (hex(one) if isinstance(one, int) else one, False)) for one in blocks]
    found: list[Header | None] = []
    for one, answer in zip(blocks, node.batch(asked), strict=True):
        if isinstance(answer, CallError):
            if isinstance(one, int):
                raise NodeError(str(answer.message), key=node.name)
            found.append(None)  # a tag that this chain does not have
            continue
        made = _header(node, answer)
        if made is not None and isinstance(one, int) and made.number != one:
            raise NodeError(f"gave block {made.number} for {one}", key=node.name)
        found.append(made)
    return found


def logs_of(node: RpcNode, head: Header, wanted: LogFilter, blooms: Sequence[int]) -> list[LogJson]:
    """The wanted logs of one block. Raises NodeError when they are not to be had or not to be believed."""
    try:
        answer = node.call("eth_getLogs", {**wanted.json(), "blockHash": "0x" + head.hash.hex()})
    except CallError as wrong:
        raise NodeError(str(wrong.message), key=node.name) from wrong
    logs = _logs(node, answer)
    for log in logs:
        if log.block_hash is not None and bytes.fromhex(log.block_hash[2:]) != head.hash:
            raise NodeError(f"gave logs of another block for {head.number}", key=node.name)
    if not logs and may_hold(head.bloom, blooms):
        prove_empty(node, head, wanted)
    return logs


def logs_between(node: RpcNode, first: int, last: int, wanted: LogFilter) -> list[LogJson]:
    """The wanted logs of a range of final blocks, in chain order. Raises CallError when it is too much for the node."""
    answer = node.call("eth_getLogs", {**wanted.json(), "fromBlock": hex(first), "toBlock": hex(last)})
    return _logs(node, answer)


def prove_empty(node: RpcNode, head: Header, wanted: LogFilter) -> None:
    """Raise NodeError unless a block has none of the wanted logs although its bloom may hold some.

    All of its logs are asked for: they are all of them when their bloom is the header's.
    """
    try:
        every = msgspec.json.decode(
            node.call("eth_getLogs", {"blockHash": "0x" + head.hash.hex()}), type=list[_LogJson]
        )
        values = {bytes.fromhex(text[2:]) for log in every for text in (log.address, *log.topics)}
    except (CallError, msgspec.DecodeError, ValueError) as wrong:
        raise NodeError(f"has no logs of block {head.number}, and cannot show all of it", key=node.name) from wrong
    told = 0
    for value in values:
        told |= bits_of(value)
    if told != head.bloom:
        raise NodeError(f"does not have the logs of block {head.number}, only the block", key=node.name)
    topics, addresses = set(wanted.topics), set(wanted.addresses)
    for log in every:
        topic = bytes.fromhex(log.topics[0][2:]) if log.topics else b""
        if topic in topics and (not addresses or bytes.fromhex(log.address[2:]) in addresses):
            raise NodeError(f"left logs out of block {head.number}", key=node.name)


def _header(node: RpcNode, answer: msgspec.Raw) -> Header | None:
    try:
        found = msgspec.json.decode(answer, type=_HeaderJson | None)
        if found is None:
            return None
        return Header(
            int(found.number, 16),
            bytes.fromhex(found.hash[2:]),
            bytes.fromhex(found.parent_hash[2:]),
            int(found.timestamp, 16),
            int(found.logs_bloom, 16) if len(found.logs_bloom) > 2 else 0,
        )
    except (msgspec.DecodeError, ValueError) as wrong:
        raise NodeError(f"gave what is no block: {wrong}", key=node.name) from wrong


def _logs(node: RpcNode, answer: msgspec.Raw) -> list[LogJson]:
    try:
        logs = msgspec.json.decode(answer, type=list[LogJson])
        return sorted(logs, key=lambda log: (int(log.block_number, 16), int(log.log_index, 16)))
    except (msgspec.DecodeError, ValueError) as wrong:
        raise NodeError(f"gave what are no logs: {wrong}", key=node.name) from wrong
