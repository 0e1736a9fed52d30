"""Lists and stories of what is stored, on the real engine: every path, cursors, filters, and what is refused."""

import json

import pytest

from mevflow.control.gateway.tables.history import TABLES

PAID = 3.25
ID = "{:032x}".format
PLAIN = [table.path for table in TABLES] + ["/api/stats/summary"]


@pytest.fixture
def rows(clickhouse_client, database):
    """Five episodes of one cycle, a minute apart; the first has a decision and its outcome. One is a replay's."""
    columns = (
        "timestamp, opportunity_id, topology, run_id, chain, slot, path, mint, amount_in, net_profit_usd, new_episode,"
        " opened_slot, opened_at, `legs.pool`, `legs.mint_in`, `legs.mint_out`, `legs.amount_in`, `legs.amount_out`,"
        " `legs.venue`, net_profit"
    )
    values = ", ".join(
        f"(toDateTime64('2024-01-05 00:0{n}:00', 6, 'UTC'), '{ID(n)}', 't', '{'r1' if n == 5 else ''}', 'ethereum',"
        f" {n}, '<b>A</b> > B', 'a', 340282366920938463463374607431768211455, {PAID if n < 3 else n}, 1, {n},"
        f" toDateTime64('2024-01-05 00:0{n}:00', 6, 'UTC'), ['p', 'q'], ['a', 'b'], ['b', 'a'], [5, 6], [6, 7],"
        " ['uniswap_v3', 'uniswap_v2'], -7)"
        for n in range(6)
    )
    clickhouse_client.command(f"INSERT INTO {database}.mev_opportunities ({columns}) VALUES {values}")
    clickhouse_client.command(
        f"INSERT INTO {database}.mev_decisions (timestamp, decision_id, opportunity_id, topology, chain, arm,"
        f" tip_share, propensity, expected_profit_usd, arms, arm_propensities, arm_scores) VALUES"
        f" ('2024-01-05 00:00:00', '{ID(7)}', '{ID(0)}', 't', 'ethereum', '0.5', 0.5, 0.9, 3,"
        " ['skip', '0.5'], [0.1, 0.9], [0, 2])"
    )
    clickhouse_client.command(
        f"INSERT INTO {database}.outcomes (timestamp, decision_id, topology, kind, reward_usd) VALUES"
        f" ('2024-01-05 00:00:01', '{ID(7)}', 't', 'landed', 1.5)"
    )
    yield
    for table in ("mev_opportunities", "mev_decisions", "outcomes"):
        clickhouse_client.command(f"TRUNCATE TABLE {database}.{table}")


@pytest.mark.parametrize("path", PLAIN)
async def test_every_list_answers_with_and_without_a_range(ask, rows, path):
    for query in ("", "?chain=ethereum", *(["?from_us=0&to_us=99999999999999"] if "from_us" in path else [])):
        reply = await ask("GET", path + query)
        assert reply.status == 200, reply.raw
    assert (await ask("GET", path, token="none")).status == 401
    assert (await ask("GET", path + "?none=1")).status == 400


async def test_a_list_goes_on_where_it_stopped_whatever_its_order(ask, rows):
    for order, key in (("profit", "net_profit_usd"), ("time", "opened_at_us")):
        seen, cursor = [], ""
        while cursor is not None:
            reply = await ask("GET", f"/api/opportunities?limit=2&order={order}&cursor={cursor}")
            assert reply.status == 200, reply.raw
            seen += reply.body["rows"]
            cursor = reply.body["next"]
        assert len({row["opportunity_id"] for row in seen}) == len(seen) == 5
        assert [row[key] for row in seen] == sorted((row[key] for row in seen), reverse=True)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("venue=uniswap_v2", 5),
        ("venue=none", 0),
        ("pool=q", 5),
        ("token=%3Cb%3E", 5),
        ("token=' OR 1=1 --", 0),
        ("token=%5C", 0),
        ("legs=2", 5),
        ("legs=3", 0),
        ("min_profit_usd=3.5", 1),
        ("run_id=r1", 1),
        ("from_us=1704412860000000&to_us=1704412980000000", 2),
        ("min_open_slots=1", 0),
    ],
)
async def test_filters(ask, rows, query, count):
    reply = await ask("GET", "/api/opportunities?" + query.replace(" ", "%20"))
    assert len(reply.body["rows"]) == count, reply.raw


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=1e2", "legs=x", "min_profit_usd=nan", "min_profit_usd=1e999", "from_us=1.5",
     "cursor=AAAA", "cursor=WyJwcm9maXQiXQ==", "order=none", "token=" + "x" * 257, "from_us=" + "9" * 30],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_by_name(ask, rows, query):
    reply = await ask("GET", "/api/opportunities?" + query)
    assert reply.status == 400, reply.raw
    assert reply.body["fields"][0]["field"] == query.partition("=")[0]


async def test_one_opportunity_with_exact_legs_and_its_decisions(ask, rows):
    found = (await ask("GET", f"/api/opportunities/{ID(0)}")).body
    assert found["amount_in_raw"] == "340282366920938463463374607431768211455"
    assert found["net_profit_raw"] == "-7"
    assert found["legs"][1] == {
        "pool": "q", "venue": "uniswap_v2", "mint_in": "b", "mint_out": "a",
        "amount_in_raw": "6", "amount_out_raw": "7",
    }  # fmt: skip
    assert [each["opportunity_id"] for each in found["moments"]] == [ID(0)]
    assert [each["decision_id"] for each in found["decisions"]] == [ID(7)]
    assert (await ask("GET", f"/api/opportunities/{ID(5)}")).status == 404  # of a replay
    assert (await ask("GET", f"/api/opportunities/{ID(5)}?run_id=r1")).status == 200
    assert (await ask("GET", "/api/opportunities/none")).status == 400


async def test_one_decision_from_source_to_reward(ask, rows):
    story = (await ask("GET", f"/api/decisions/{ID(7)}")).body
    assert story["decision"]["arms"] == ["skip", "0.5"]
    assert story["opportunity"]["path"] == "<b>A</b> > B"
    assert story["outcomes"][0]["reward_usd"] == 1.5
    assert story["lineage"] is None  # not stored is not empty
    assert (await ask("GET", f"/api/decisions/{ID(8)}")).body["reason"] == "NO_SUCH_DECISION"


async def test_figures_of_a_range(ask, rows):
    found = (await ask("GET", "/api/stats/summary?from_us=0&chain=ethereum")).body
    assert (found["episodes"], found["decisions"], found["bids"], found["landed"]) == (5, 1, 1, 1)
    assert found["reward_usd"] == 1.5
    assert (await ask("GET", "/api/stats/summary?chain=solana")).body["episodes"] == 0
    days = (await ask("GET", "/api/decisions?outcome=landed")).body["rows"]
    assert [row["reward_usd"] for row in days] == [1.5]


async def test_minutes_add_up_in_any_bucket(ask, rows):
    for bucket in (60, 600, 86400):
        found = (await ask("GET", f"/api/stats/minute?bucket_s={bucket}")).body["rows"]
        assert sum(row["profit_micro_usd"] for row in found) == 2 * 3_250_000 + 3_250_000 + 7_000_000
    assert (await ask("GET", "/api/stats/minute?bucket_s=0")).body.get("rows", []) == []


async def test_openapi_has_every_list(call):
    paths = (await call("GET", "/api/openapi.json", token="")).body["paths"]
    for table in TABLES:
        named = {each["name"] for each in paths[table.path]["get"]["parameters"]}
        assert named == set(table.parameters)
    assert json.dumps(paths["/api/decisions/{id}"]["get"]["parameters"][0]).count("path") == 1


async def test_a_topologys_graph_has_its_edges_and_no_settings(call, topology):
    graph = (await call("GET", f"/api/topologies/{topology}/graph")).body
    assert [node["name"] for node in graph["nodes"]] == ["swaps", "decoded", "found", "history", "rejects"]
    edge = {"from": "decoded", "from_port": "errors", "to": "rejects", "to_port": "in"}
    assert {**edge, "rows": None, "rows_per_s": None} in graph["edges"]
    assert {node["rows_in"] for node in graph["nodes"]} == {None}  # not told is not zero
    assert "registry" not in json.dumps(graph)
    assert (await call("GET", "/api/topologies/none/graph")).status == 404
    assert (await call("GET", f"/api/topologies/{topology}/graph", token="none")).status == 401


async def test_templates_are_told_with_their_defaults(call):
    rows = (await call("GET", "/api/clickhouse/templates")).body["templates"]
    assert {"name", "summary", "sql", "defaults"} == rows[0].keys()
    assert next(row for row in rows if row["name"] == "top_opportunities")["defaults"]["limit"] == "10"
