"""Pools as ClickHouse knows them, and held against their contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mevflow.operators.addresses import address
from mevflow.operators.amounts import i128, u128
from mevflow.operators.chains import id_of, is_evm, number_of
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, SLIPSTREAM, STABLE, VOLATILE, EvmPool
from mevflow.sources.evm.audit import ToldState, ToldStates, said
from mevflow.sources.evm.blocks import header
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings, NodeError, RpcNode
from mevflow.v1 import market_pb2 as market

_LIST = """
SELECT s.chain, s.pool, p.pair, s.venue, p.fee_pips, s.swaps, s.first, s.last, s.slot
FROM
(
    SELECT chain, pool, any(venue) AS venue, count() AS swaps, min(timestamp) AS first, max(timestamp) AS last,
           max(slot) AS slot
    FROM raw_swaps
    WHERE ({chain:String} = '' OR chain = {chain:String}) AND ({pool:String} = '' OR pool = {pool:String})
    GROUP BY chain, pool
) AS s
LEFT JOIN
(
    SELECT chain, pool, argMax(symbol_a || '/' || symbol_b, slot) AS pair, argMax(fee_pips, slot) AS fee_pips
    FROM dex_pools WHERE mint_a != '' GROUP BY chain, pool
) AS p ON p.chain = s.chain AND p.pool = s.pool
ORDER BY s.swaps DESC, s.pool
LIMIT {limit:UInt32}
"""
_COLUMNS = ("chain", "pool", "pair", "venue", "fee_pips", "swaps", "first_seen", "last_seen", "last_slot")
_STATE = ("slot", "tx_index", "ix_index", "reserve_a", "reserve_b", "sqrt_price_x96", "tick", "liquidity")
_SWAPS = f"""
SELECT pool, {", ".join(_STATE)} FROM raw_swaps
WHERE chain = {{chain:String}} AND pool IN {{pools:Array(String)}} AND slot <= {{slot:UInt64}}
ORDER BY slot DESC, tx_index DESC, ix_index DESC LIMIT 1 BY pool
"""
_UPDATES = f"""
SELECT pool, {", ".join(_STATE)}, kind, tick_lower, tick_upper, liquidity_delta FROM dex_pools FINAL
WHERE chain = {{chain:String}} AND pool IN {{pools:Array(String)}} AND slot <= {{slot:UInt64}} AND run_id = ''
LIMIT 1 BY pool, slot, tx_index, ix_index, kind
"""
_NEWEST = "SELECT max(slot) FROM raw_swaps WHERE chain = {chain:String}"
_KINDS = {
    "unspecified": market.PoolUpdate.KIND_UNSPECIFIED,
    "create": market.PoolUpdate.KIND_CREATE,
    "snapshot": market.PoolUpdate.KIND_SNAPSHOT,
    "liquidity": market.PoolUpdate.KIND_LIQUIDITY,
}
_VENUES = {
    "uniswap_v2": PAIR,
    "aerodrome_volatile": VOLATILE,
    "aerodrome_stable": STABLE,
    "uniswap_v3": CONCENTRATED,
    "slipstream": SLIPSTREAM,
}


@dataclass(frozen=True, slots=True)
class AuditedPool:
    """What rows told of a pool up to a block, and what its contract says of the end of it (None: nothing)."""

    pool: str
    block: int
    told: ToldState
    said: ToldState | None

    @property
    def equal(self) -> bool:
        """Reserves, or price, tick and liquidity, to the unit."""
        return self.told == self.said


def listed(client: Any, chain: str = "", pool: str = "", limit: int = 20) -> list[dict[str, Any]]:
    """Pools by their number of swaps. Raises UsageError for a chain that has no such name."""
    if chain:
        number_of(chain)
    found = client.query(_LIST, parameters={"chain": chain, "pool": pool, "limit": limit}).result_rows
    return [dict(zip(_COLUMNS, row, strict=True)) for row in found]


def shown(client: Any, pool: str) -> dict[str, Any]:
    """One pool, with the last state that rows told: reserves; or price (Q64.96), tick and liquidity (EVM).

    Raises UsageError for a pool without swaps.
    """
    rows = listed(client, pool=pool.lower() if pool.startswith("0x") else pool, limit=1)
    if not rows:
        raise UsageError("no swap of that pool is stored", hint="mevflow pools list", key=pool[:64])
    (row,) = rows
    state = told(client, row["chain"], [row["pool"]], row["last_slot"]).get(row["pool"])
    names = ("reserve_a", "reserve_b") if state and len(state) == 2 else ("sqrt_price_x96", "tick", "liquidity")
    return row | (dict(zip(names, state, strict=True)) if state else {})


def told(client: Any, chain: str, pools: list[str], slot: int) -> dict[str, ToldState]:
    """The last state that rows up to a slot told of each pool."""
    asked = {"chain": chain, "pools": pools, "slot": slot}
    rows: list[tuple[Any, dict[str, Any]]] = [(row, {}) for row in client.query(_SWAPS, parameters=asked).result_rows]
    rows += [
        (
            row[: len(_STATE) + 1],
            dict(zip(("kind", "tick_lower", "tick_upper", "liquidity_delta"), row[-4:], strict=True)),
        )
        for row in client.query(_UPDATES, parameters=asked).result_rows
    ]
    states = ToldStates()
    for row, change in sorted(rows, key=lambda pair: pair[0][1:4]):
        states.apply(_as_told(dict(zip(("pool", *_STATE), row, strict=True)), change))
    return {pool.decode(): state for pool, state in states.known.items()}


def audit(client: Any, chain: str, rpc: str, pools: list[str], limit: int = 100) -> list[AuditedPool]:
    """Hold pools (the busiest, or ``pools``) against their contracts at the last block that is stored whole.

    Raises UsageError where there is nothing to audit, UnreachableError when the node has no state of that block.
    """
    number = number_of(chain)
    if not is_evm(number):
        raise UsageError("only pools of EVM chains are audited", key=chain)
    rows = [row for row in listed(client, chain, limit=1_000_000 if pools else limit) if row["venue"] in _VENUES]
    wanted = {one.lower() for one in pools}
    rows = [row for row in rows if not wanted or row["pool"] in wanted]
    if not rows or wanted - {row["pool"] for row in rows}:
        raise UsageError("no swaps of such pools are stored", hint=f"mevflow pools list --chain {chain}", key=chain)
    # The newest block may be stored in part.
    block = int(client.query(_NEWEST, parameters={"chain": chain}).result_rows[0][0]) - 1
    known = told(client, chain, [row["pool"] for row in rows], block)
    chosen = [_pool(row) for row in rows if row["pool"] in known]
    nodes = Nodes([EndpointSettings(url=rpc)], id_of(number))

    def ask(node: RpcNode) -> list[ToldState | None]:
        at = header(node, block)
        if at is None:
            raise NodeError(f"does not have block {block}", key=node.name)
        return said(node, chosen, at.hash)

    try:
        answers = nodes.ask(ask)
    finally:
        nodes.close()
    names = ["0x" + pool.address.hex() for pool in chosen]
    return [AuditedPool(name, block, known[name], answer) for name, answer in zip(names, answers, strict=True)]


def _pool(row: dict[str, Any]) -> EvmPool:
    return EvmPool(address(row["pool"]), _VENUES[row["venue"]], b"", b"", row["fee_pips"])


def _as_told(row: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A stored row as a message's columns; a 0 that is stored says nothing."""
    amounts = {name: u128(int(row[name])) if row[name] else b"" for name in ("reserve_a", "reserve_b", "liquidity")}
    price = int(row["sqrt_price_x96"]).to_bytes(20, "little") if row["sqrt_price_x96"] else b""
    told = {**row, **amounts, "pool": row["pool"].encode(), "sqrt_price_x96": price}
    if not change:
        return told
    delta = i128(int(change["liquidity_delta"]))
    return {**told, **change, "kind": _KINDS.get(change["kind"], market.PoolUpdate.KIND_FEE), "liquidity_delta": delta}
