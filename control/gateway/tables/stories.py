"""One opportunity with its legs and decisions, one decision with its whole lineage, and a range in a few figures."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.tables.history import EPISODES
from mevflow.control.gateway.tables.select import RowFilter, TableCalls, conditions_of, not_found
from mevflow.control.refusal import invalid
from mevflow.flows.explain import LISTS, OF_DECISION, PARTS, name_features

_ID = re.compile(r"[0-9a-f]{32}\Z")
_MAX_RUN = 64

_OPPORTUNITY = """
SELECT opportunity_id, topology, run_id, chain, slot, tx_index, ix_index,
       toUnixTimestamp64Micro(timestamp) AS timestamp_us, path, mint, toString(amount_in) AS amount_in_raw,
       toString(amount_out) AS amount_out_raw, toString(gross_profit) AS gross_profit_raw,
       toString(net_profit) AS net_profit_raw, toString(cost) AS cost_raw, gross_profit_usd, net_profit_usd, log_rate,
       late, new_episode, closed, opened_slot, toUnixTimestamp64Micro(opened_at) AS opened_at_us, logic_version,
       `legs.pool` AS leg_pools, `legs.venue` AS leg_venues, `legs.mint_in` AS leg_mints_in,
       `legs.mint_out` AS leg_mints_out, arrayMap(x -> toString(x), `legs.amount_in`) AS leg_amounts_in_raw,
       arrayMap(x -> toString(x), `legs.amount_out`) AS leg_amounts_out_raw
FROM mev_opportunities FINAL WHERE opportunity_id = {id:String} AND run_id = {run:String}
ORDER BY logic_version DESC LIMIT 1"""
#: The moments of the same cycle's episode.
_MOMENTS = """
SELECT opportunity_id, slot, tx_index, ix_index, toUnixTimestamp64Micro(timestamp) AS timestamp_us, net_profit_usd,
       toString(amount_in) AS amount_in_raw, closed
FROM mev_opportunities FINAL
WHERE run_id = {run:String} AND topology = {topology:String} AND chain = {chain:String}
  AND opened_slot = {slot:UInt64} AND path = {path:String} AND `legs.pool` = {pools:Array(String)}
ORDER BY slot, tx_index, ix_index, opportunity_id LIMIT 1000"""
_DECIDED = """
SELECT decision_id, arm, propensity, score, tip_share, expected_profit_usd, policy, policy_version
FROM mev_decisions FINAL WHERE opportunity_id = {id:String} AND run_id = {run:String} ORDER BY decision_id LIMIT 100"""
_FIND = """
SELECT decision_id, topology, chain FROM mev_decisions
WHERE decision_id = {id:String} AND run_id = {run:String} ORDER BY topology LIMIT 1"""
_FIGURES = """
SELECT
    (SELECT count() FROM raw_swaps WHERE $swaps) AS swaps,
    (SELECT count() FROM dead_letters FINAL WHERE $letters) AS dead_letters,
    episodes, best_profit_usd, decisions, decided_usd, bids, bid_usd, landed, outcomes, landed_usd, reward_usd
FROM
(
    SELECT count() AS episodes, sum(net_profit_usd) AS best_profit_usd FROM arbitrage_opportunities WHERE $episodes
) AS e
CROSS JOIN
(
    SELECT count() AS decisions, sum(expected_profit_usd) AS decided_usd, countIf(tip_share > 0) AS bids,
           sumIf(expected_profit_usd, tip_share > 0) AS bid_usd, countIf(kind = 'landed') AS landed,
           countIf(kind != '') AS outcomes, sumIf(expected_profit_usd, kind = 'landed') AS landed_usd,
           sum(reward) AS reward_usd
    FROM (SELECT * FROM mev_decisions FINAL WHERE $decisions) AS d
    LEFT JOIN
    (
        SELECT decision_id, run_id, topology, argMax(kind, timestamp) AS kind, argMax(reward_usd, timestamp) AS reward
        FROM outcomes FINAL GROUP BY decision_id, run_id, topology
    ) AS o USING (decision_id, run_id, topology)
) AS c"""
_RANGE = ("from_us", "to_us", "chain")
#: Letters are told by range only: what could not be read has no chain.
_CONDITIONS = {
    "swaps": _RANGE,
    "letters": ("from_us", "to_us"),
    "episodes": (*_RANGE, "run_id"),
    "decisions": (*_RANGE, "run_id"),
}


class Stories:
    """Three endpoints. What is not stored is null, or an empty list."""

    def __init__(self, calls: TableCalls) -> None:
        self._calls = calls

    async def opportunity(self, request: Request) -> Response:
        """One row with its legs, the moments of its episode and the decisions on it."""
        return await self._story(request, "Opportunity", self._opportunity)

    async def decision(self, request: Request) -> Response:
        """Source record, pools, features, arms, choice, outcomes and counterfactuals."""
        return await self._story(request, "Decision", self._decision)

    async def figures(self, request: Request) -> Response:
        """From gap to landing over a range."""
        carrier = self._calls.carrier
        with carrier.dispatcher.guard("StatsSummary", carrier.caller(request)) as (identity, record):
            carrier.check(request)
            query = dict(request.query_params)
            record.request = msgspec.json.encode(query)[:2000]
            for name in query:
                if name not in (*_RANGE, "run_id"):
                    raise invalid(name[:64], f"no such parameter; known: {', '.join((*_RANGE, 'run_id'))}")
            sql = _FIGURES
            parameters: dict[str, str] = {}
            for part, names in _CONDITIONS.items():
                column = "opened_at" if part == "episodes" else "timestamp"
                filters: dict[str, RowFilter] = {name: EPISODES.filters[name] for name in names}
                conditions, given = conditions_of(filters, query)
                parameters |= given
                sql = sql.replace(f"${part}", " AND ".join(c.replace("opened_at", column) for c in conditions) or "1")
            body = (await self._calls.rows(sql, parameters, identity.name))[0]
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    async def _story(self, request: Request, method: str, tell: Any) -> Response:
        carrier = self._calls.carrier
        with carrier.dispatcher.guard(method, carrier.caller(request)) as (identity, record):
            carrier.check(request)
            identifier, run_id = request.path_params["id"], request.query_params.get("run_id", "")
            record.target = identifier[:64]
            if not _ID.match(identifier):
                raise invalid("id", "is 32 hexadecimal digits")
            if len(run_id) > _MAX_RUN or not run_id.isprintable():
                raise invalid("run_id", f"has at most {_MAX_RUN} characters")
            body = await tell({"id": identifier, "run": run_id}, identity.name)
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    async def _opportunity(self, given: dict[str, str], caller: str) -> dict[str, Any]:
        found = await self._calls.rows(_OPPORTUNITY, given, caller)
        if not found:
            raise not_found("opportunity", given["id"])
        row = found[0]
        names = ("pools", "venues", "mints_in", "mints_out", "amounts_in_raw", "amounts_out_raw")
        legs = zip(*(row.pop(f"leg_{name}") for name in names), strict=True)
        keys = ("pool", "venue", "mint_in", "mint_out", "amount_in_raw", "amount_out_raw")
        row["legs"] = [dict(zip(keys, leg, strict=True)) for leg in legs]
        same = {
            "run": given["run"],
            "topology": row["topology"],
            "chain": row["chain"],
            "slot": str(row["opened_slot"]),
            "path": row["path"],
            "pools": "[" + ",".join("'" + leg["pool"].replace("'", "") + "'" for leg in row["legs"]) + "]",
        }
        row["moments"] = await self._calls.rows(_MOMENTS, same, caller)
        row["decisions"] = await self._calls.rows(_DECIDED, given, caller)
        return row

    async def _decision(self, given: dict[str, str], caller: str) -> dict[str, Any]:
        found = await self._calls.rows(_FIND, given, caller)
        if not found:
            raise not_found("decision", given["id"])
        given = {**given, "topology": found[0]["topology"], "opportunity": ""}
        story: dict[str, Any] = {}
        for part, sql in PARTS.items():
            rows = await self._calls.rows(sql.format(where=OF_DECISION), given, caller)
            story[part] = rows if part in LISTS else rows[0] if rows else None
            if part == "decision":
                given["opportunity"] = rows[0]["opportunity_id"]
        name_features(story)
        return story
