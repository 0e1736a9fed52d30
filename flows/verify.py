"""An opportunity from ClickHouse, executed on a node at its own place in the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mevflow.operators.addresses import address
from mevflow.operators.chains import id_of, is_evm, number_of
from mevflow.operators.errors import UsageError
from mevflow.sources.evm.execution import CALLS, CycleLeg, Execution, execute
from mevflow.sources.evm.factories import managers_of
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.v1 import market_pb2 as market

#: By the names that ClickHouse has for venues.
_CALLS = {market.Venue.Name(venue).removeprefix("VENUE_").lower(): call for venue, call in CALLS.items()}
_ROW = """
SELECT chain, slot, tx_index, path, amount_in, gross_profit, `legs.pool`, `legs.mint_in`, `legs.mint_out`,
       `legs.amount_in`, `legs.amount_out`, `legs.venue`, closed
FROM mev_opportunities FINAL WHERE opportunity_id = {id:String} ORDER BY run_id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was predicted and what the chain gave, in raw units; ``legs`` are (pool, predicted, executed)."""

    opportunity_id: str
    chain: str
    block: int
    path: str
    where: str
    predicted_profit: int
    executed_profit: int
    legs: tuple[tuple[str, int, int], ...]

    @property
    def equal(self) -> bool:
        """To the unit, in every leg."""
        return all(told == got for _, told, got in self.legs)


def verify(client: Any, opportunity_id: str, rpc: str) -> Verified:
    """Execute an opportunity. Raises UsageError for one that is not there or cannot be executed."""
    rows = client.query(_ROW, parameters={"id": opportunity_id.lower()}).result_rows
    if not rows:
        raise UsageError("no opportunity has that id", hint="mevflow opportunities top", key=opportunity_id[:64])
    chain, block, tx_index, path, amount_in, profit, pools, ins, outs, given, taken, venues, closed = rows[0]
    number = number_of(chain)
    strange = sorted(set(venues) - _CALLS.keys())
    if not is_evm(number) or strange:
        raise UsageError(
            f"only pools of {' and '.join(_CALLS)} are executed, not {', '.join(strange) or chain}", key=opportunity_id
        )
    if closed:
        raise UsageError("this row says that the cycle stopped paying: there is nothing to execute", key=opportunity_id)
    legs = [
        CycleLeg(address(pool), address(token_in), address(token_out), _CALLS[venue], int(paid), int(got))
        for pool, token_in, token_out, paid, got, venue in zip(pools, ins, outs, given, taken, venues, strict=True)
    ]
    managers = managers_of(id_of(number))
    nodes = Nodes([EndpointSettings(url=rpc)], id_of(number))
    try:
        done: Execution = nodes.ask(lambda node: execute(node, legs, int(block), int(tx_index), managers))
    finally:
        nodes.close()
    told = [(pool, leg.amount_out, got) for pool, leg, got in zip(pools, legs, done.amounts_out, strict=True)]
    gained = done.amounts_out[-1] - int(amount_in)
    return Verified(opportunity_id, chain, int(block), path, done.where, int(profit), gained, tuple(told))
