"""A pool file made of addresses and a node: ``--pool ADDRESS@RPC``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from ruamel.yaml import YAML

from mevflow.operators.chains import name_of, number_of_id
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.evm.pools import KINDS, MANAGED_FEE, EvmPool
from mevflow.sources.evm.blocks import header
from mevflow.sources.evm.discover import discover
from mevflow.sources.evm.factories import KNOWN, Factory
from mevflow.sources.evm.fees import JudgedPool, judge
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings, NodeError, RpcNode


def write_pool_file(named: Sequence[str], folder: Path, factories: Sequence[Factory] = ()) -> Path:
    """Ask a node what ``ADDRESS@RPC`` pools are, and write it down once: the same pools give the same file.

    A pool must be one that a known factory (or one of ``factories``) names. Raises UsageError, UnreachableError.
    """
    by_node: dict[str, list[bytes]] = {}
    for one in named:
        address, _, url = one.partition("@")
        if len(address) != 42 or address[:2] not in ("0x", "0X") or not url.startswith(("http://", "https://")):
            raise UsageError("a pool is named ADDRESS@URL: 0x and 40 digits, http:// or https://", key=one[:64])
        try:
            by_node.setdefault(url, []).append(bytes.fromhex(address[2:]))
        except ValueError:
            raise UsageError("an address is 0x and 40 hexadecimal digits", key=one[:64]) from None
    chains, pools = set(), []
    for url, addresses in by_node.items():
        nodes = Nodes([EndpointSettings(url=url)])
        try:
            chain_id, found = nodes.ask(lambda node, wanted=addresses: _asked(node, wanted, factories))  # type: ignore[misc]
        finally:
            nodes.close()
        chains.add(chain_id)
        for judged in found:
            if judged.closed:
                raise UsageError(f"that pool is closed: {judged.closed}", key="0x" + judged.pool.address.hex())
        pools += [judged.pool for judged in found]
        missing = sorted(set(addresses) - {judged.pool.address for judged in found})
        if missing:
            raise UsageError(
                "no known factory names that pool",
                hint="state it in a pool file (--pools)",
                key="0x" + missing[0].hex(),
            )
    if len(chains) != 1:
        raise UsageError("the pools of one feed are of one chain", key=", ".join(map(str, sorted(chains))))
    entries = [_entry(pool) for pool in sorted(pools, key=lambda pool: pool.address)]
    tree = {"chain": name_of(number_of_id(chains.pop())), "pools": entries}
    path = folder / f"pools-{hashlib.sha256(msgspec.json.encode(tree)).hexdigest()[:16]}.yaml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            YAML().dump(tree, file)
    return path


def _asked(node: RpcNode, addresses: list[bytes], factories: Sequence[Factory]) -> tuple[int, list[JudgedPool]]:
    chain_id = int(msgspec.json.decode(node.call("eth_chainId"), type=str), 16)
    head = header(node, "latest")
    if head is None:
        raise NodeError("has no block", key=node.name)
    known = {one.key: one for one in (*KNOWN.get(chain_id, ()), *factories)}
    found = discover(node, addresses, known, head.hash)
    return chain_id, judge(node, found, head.hash)


def _entry(pool: EvmPool) -> dict[str, object]:
    kind = next(name for name, venue in KINDS.items() if venue == pool.venue)
    entry: dict[str, object] = {"address": "0x" + pool.address.hex(), "kind": kind}
    entry |= {"token0": "0x" + pool.token0.hex(), "token1": "0x" + pool.token1.hex(), "fee_pips": pool.fee_pips}
    if pool.tick_spacing:
        entry["tick_spacing"] = pool.tick_spacing
    if pool.venue in MANAGED_FEE:
        entry["factory"] = "0x" + pool.factory.hex()
    if pool.fee_module:
        entry["fee_module"] = "0x" + pool.fee_module.hex()
    return entry | {"decimals": list(pool.decimals), "symbols": list(pool.symbols)}
