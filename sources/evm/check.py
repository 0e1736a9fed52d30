"""What one endpoint can do of what ``evm.source`` needs, asked of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from mevflow.sources.evm.blocks import Header, LogFilter, header, logs_between, logs_of
from mevflow.sources.evm.collect import EVENTS
from mevflow.sources.evm.rpc import CallError, EndpointSettings, NodeError, RpcNode

_RANGES = (10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. ``needed``: without it the endpoint is of no use."""

    what: str
    works: bool
    detail: str
    needed: bool = True


def check(settings: EndpointSettings) -> list[Finding]:
    """Try an endpoint. Nothing is raised: what fails is a finding."""
    node = RpcNode(settings)
    try:
        return [*_checks(node)]
    finally:
        node.close()


def _checks(node: RpcNode) -> list[Finding]:
    found: list[Finding] = []
    try:
        began = time.monotonic()
        chain_id = int(msgspec.json.decode(node.call("eth_chainId"), type=str), 16)
        head = header(node, "latest")
        took = (time.monotonic() - began) * 500
    except (NodeError, CallError, ValueError) as wrong:
        return [Finding("answers", False, str(wrong))]
    if head is None:
        return [Finding("answers", False, "there is no block")]
    found.append(Finding("answers", True, f"chain {chain_id}, block {head.number}, {took:.0f} ms a call"))
    found.append(_final(node, head))
    wanted = LogFilter(EVENTS)
    try:
        count = len(logs_of(node, head, wanted, wanted.blooms()))
        found.append(Finding("logs by block hash", True, f"{count} of pools in block {head.number}"))
    except NodeError as wrong:
        found.append(Finding("logs by block hash", False, wrong.message))
    found.append(_range(node, head, wanted))
    for what, block in (("state of the newest block", head), ("state 128 blocks back", None)):
        found.append(_state(node, what, block or header(node, max(0, head.number - 128))))
    return found


def _final(node: RpcNode, head: Header) -> Finding:
    try:
        final = header(node, "finalized")
    except NodeError as wrong:
        return Finding("finalized block", False, wrong.message, needed=False)
    if final is None:
        return Finding("finalized block", False, "unknown to it; 64 blocks below the head are taken", needed=False)
    return Finding("finalized block", True, f"{head.number - final.number} blocks below the head", needed=False)


def _range(node: RpcNode, head: Header, wanted: LogFilter) -> Finding:
    most = 0
    for size in _RANGES:
        if size > head.number + 1:
            break
        try:
            logs_between(node, head.number - size + 1, head.number, wanted)
        except (CallError, NodeError):
            break
        most = size
    return Finding("logs by range", most > 0, f"{most:,} blocks at once" if most else "refused", needed=False)


def _state(node: RpcNode, what: str, block: Header | None) -> Finding:
    try:
        if block is None:
            raise NodeError("does not have the block", key=node.name)
        node.call("eth_getTransactionCount", "0x" + bytes(20).hex(), {"blockHash": "0x" + block.hash.hex()})
        return Finding(what, True, f"block {block.number}", needed=what.endswith("newest block"))
    except (NodeError, CallError) as wrong:
        return Finding(what, False, wrong.message, needed=what.endswith("newest block"))
