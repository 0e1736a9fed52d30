"""Executing a cycle on a node, at the place in the chain where it was found, and taking nothing from anybody.

The node is asked to behave as if an address had a small contract's code and the first token's amount; the contract
calls the pools themselves, so what it gets is what the chain would give. ``eth_simulateV1`` runs the transactions of
the block up to the event's own first; a node without it is asked at the end of the block (``eth_call``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec
from Crypto.Hash import keccak

from mevflow.operators.errors import CheckFailedError
from mevflow.sources.evm.blocks import header
from mevflow.sources.evm.contracts import ContractCall, address, number
from mevflow.sources.evm.executor import ADDRESS, CODE, RUN
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.rpc import CallError, NodeError, RpcNode
from mevflow.sources.evm.singleton import find
from mevflow.v1 import market_pb2 as market

_GAS = 30_000_000
#: Where contracts keep balances: a mapping in one of the first slots, or where OpenZeppelin 5 puts it.
_SLOTS = (*range(32), 0x52C63247E1F47DB19D5CE0460030C497F067CA4CEBF71BA98EEADABE20BACE00)


class PoolCall(IntEnum):
    """How a pool is asked to swap, as ``executor.vy`` numbers it: as Uniswap v2's are, as v3's, as Curve's; by
    Balancer's vault, and by Uniswap v4's manager."""

    PAIR = 0
    CONCENTRATED = 1
    CURVE = 2
    VAULT = 3
    MANAGER = 4


#: The venues whose pools are executed.
CALLS: dict[int, PoolCall] = {
    market.VENUE_UNISWAP_V2: PoolCall.PAIR,
    market.VENUE_AERODROME_VOLATILE: PoolCall.PAIR,
    market.VENUE_AERODROME_STABLE: PoolCall.PAIR,
    market.VENUE_UNISWAP_V3: PoolCall.CONCENTRATED,
    market.VENUE_SLIPSTREAM: PoolCall.CONCENTRATED,
    market.VENUE_CURVE_STABLE: PoolCall.CURVE,
    market.VENUE_BALANCER_WEIGHTED: PoolCall.VAULT,
    market.VENUE_UNISWAP_V4: PoolCall.MANAGER,
}


@dataclass(frozen=True, slots=True)
class CycleLeg:
    """A swap through a pool, by its address or id. Amounts in raw units."""

    pool: bytes
    token_in: bytes
    token_out: bytes
    call: PoolCall
    amount_in: int
    amount_out: int


@dataclass(frozen=True, slots=True)
class Execution:
    """What each leg gave, and ``where``: after which transaction, or at the end of the block."""

    amounts_out: tuple[int, ...]
    where: str


@dataclass(frozen=True, slots=True)
class _Held:
    """Who is asked to swap, and as which of its pools: an id of the vault's, fee and spacing of the manager's."""

    contract: bytes
    id: bytes = b""
    fee_pips: int = 0
    tick_spacing: int = 0


def execute(
    node: RpcNode, legs: Sequence[CycleLeg], block: int, tx_index: int, managers: Sequence[Factory] = ()
) -> Execution:
    """Execute a cycle after transaction ``tx_index`` of a block. ``managers``: Uniswap v4's, of that chain.

    Raises CheckFailedError where a pool reverts, nobody tells its key, or the token's balances are not found, NodeError
    for a node that cannot say.
    """
    first = legs[0]
    overrides: dict[str, Any] = {_hex(ADDRESS): {"code": _hex(CODE)}}
    if any(first.token_in):
        overrides[_hex(first.token_in)] = {"stateDiff": _funds(node, first.token_in, first.amount_in, block)}
    else:  # the chain's own currency
        overrides[_hex(ADDRESS)]["balance"] = hex(first.amount_in)
    data = _run(legs, [_held(node, leg, block, managers) for leg in legs])
    call = {"from": _hex(bytes(19) + b"\1"), "to": _hex(ADDRESS), "data": data, "gas": hex(_GAS)}
    try:
        said, where = _simulated(node, call, overrides, block, tx_index), f"after transaction {tx_index}"
    except CallError:
        said, where = _called(node, call, overrides, block), "at the end of the block"
    amounts = tuple(number(said, 2 + i) or 0 for i in range(number(said, 1) or 0))
    if len(amounts) != len(legs):
        raise NodeError("gave no amounts for a simulated call", key=node.name)
    return Execution(amounts, where)


def _held(node: RpcNode, leg: CycleLeg, block: int, managers: Sequence[Factory]) -> _Held:
    if leg.call == PoolCall.VAULT:
        vault = address(_asked(node, ContractCall(leg.pool[:20], "getVault()"), block))
        if vault is None:
            raise CheckFailedError("the pool does not name its vault", key=_hex(leg.pool))
        return _Held(vault, leg.pool)
    if leg.call != PoolCall.MANAGER:
        return _Held(leg.pool)
    at = header(node, block)
    if at is None:
        raise NodeError(f"does not have block {block}", key=node.name)
    for manager in managers:
        for pool in find(node, manager, [leg.pool], {}, at.hash).pools:
            return _Held(manager.key, leg.pool, pool.fee_pips, pool.tick_spacing)
    raise CheckFailedError("no position manager that is known tells the key of this pool", key=_hex(leg.pool))


def _asked(node: RpcNode, call: ContractCall, block: int) -> bytes | None:
    """An answer at a block; None where the contract reverts."""
    try:
        said = node.call("eth_call", {"to": _hex(call.to), "data": call.data()}, hex(block))
    except CallError:
        return None
    return bytes.fromhex(msgspec.json.decode(said, type=str)[2:])


def _run(legs: Sequence[CycleLeg], held: Sequence[_Held]) -> str:
    words = [legs[0].amount_in, 0x40, len(legs)]
    for leg, one in zip(legs, held, strict=True):
        words += [int.from_bytes(each, "big") for each in (one.contract, leg.token_in, leg.token_out)]
        words += [leg.call, leg.amount_out, int.from_bytes(one.id), one.fee_pips, one.tick_spacing]
    return _hex(RUN + b"".join(word.to_bytes(32, "big") for word in words))


def _simulated(node: RpcNode, call: dict[str, Any], overrides: dict[str, Any], block: int, tx_index: int) -> bytes:
    """The answer after the block's first transactions. Raises CallError where the node cannot do it."""
    whole = msgspec.json.decode(node.call("eth_getBlockByNumber", hex(block), True))
    if whole is None:
        raise NodeError(f"does not have block {block}", key=node.name)
    before = [_sent(one) for one in whole["transactions"] if int(one["transactionIndex"], 16) <= tx_index]
    same = {
        "number": whole["number"], "time": whole["timestamp"], "gasLimit": hex(1 << 40), "feeRecipient": whole["miner"],
        "baseFeePerGas": whole.get("baseFeePerGas", "0x0"), "prevRandao": whole["mixHash"],
    }  # fmt: skip
    calls = {"blockOverrides": same, "stateOverrides": overrides, "calls": [*before, call]}
    answer = node.call("eth_simulateV1", {"blockStateCalls": [calls]}, hex(block - 1))
    last = msgspec.json.decode(answer)[-1]["calls"][-1]
    if last["status"] != "0x1":
        raise CheckFailedError("the cycle reverts on the chain", key=f"block {block}, after transaction {tx_index}")
    return bytes.fromhex(last["returnData"][2:])


def _called(node: RpcNode, call: dict[str, Any], overrides: dict[str, Any], block: int) -> bytes:
    try:
        return bytes.fromhex(msgspec.json.decode(node.call("eth_call", call, hex(block), overrides), type=str)[2:])
    except CallError as wrong:
        raise CheckFailedError(
            f"the cycle reverts at the end of its block, or the node has no overrides: {wrong.message}",
            hint="a node with eth_simulateV1 executes right after the event",
            key=f"block {block}",
        ) from wrong


def _sent(one: dict[str, Any]) -> dict[str, Any]:
    """A transaction of a block as a call."""
    call = {"from": one["from"], "data": one["input"], "value": one["value"], "gas": one["gas"]}
    return call | ({"to": one["to"]} if one.get("to") else {})


def _funds(node: RpcNode, token: bytes, amount: int, block: int) -> dict[str, str]:
    """The token's storage that gives the executor ``amount``, found by trying."""
    asked = {"to": _hex(token), "data": ContractCall(token, "balanceOf(address)", (int.from_bytes(ADDRESS),)).data()}
    owner, value = ADDRESS.rjust(32, b"\0"), _hex(amount.to_bytes(32, "big"))
    at = [slot.to_bytes(32, "big") for slot in _SLOTS]
    # Solidity hashes key and place, Vyper place and key.
    places = [
        _hex(keccak.new(digest_bits=256, data=pair).digest()) for one in at for pair in (owner + one, one + owner)
    ]
    calls = [("eth_call", (asked, hex(block), {_hex(token): {"stateDiff": {place: value}}})) for place in places]
    for place, said in zip(places, node.batch(calls), strict=True):
        if not isinstance(said, CallError) and int(msgspec.json.decode(said, type=str) or "0x0", 16) == amount:
            return {place: value}
    raise CheckFailedError("it is not found where this token keeps its balances", key=_hex(token))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
