"""Each page's main job by clicks and keys; how it looks; that it is usable by everyone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from mevflow.metrics.grafana import TABLES_UID
from tests.metrics.test_grafana import TOKEN, api, writes  # noqa: F401

expect.set_options(timeout=60_000)

#: The two recorded days are loaded before the first test.
pytestmark = pytest.mark.timeout(900)
PAGES = (
    "overview",
    "topologies",
    "topologies/detect-live",
    "opportunities",
    "decisions",
    "learning",
    "control",
    "messages",
    "messages/dex-swaps-proto?at=0:3",
    "sql",
    "replays",
    "services",
    "lab",
)


#: Texts that are drawn smaller than 12 px, and what a figure's line hides of itself.
UNREADABLE = """() => {
  const said = [];
  const walk = document.createTreeWalker(document.querySelector(".app"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const of = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || ["OPTION", "title"].includes(of.tagName)) continue;
    if (!of.getClientRects().length) continue;
    const size = parseFloat(getComputedStyle(of).fontSize) * (of.getScreenCTM?.().a ?? 1);
    if (size < 11.99) said.push(`${size} px: ${walk.currentNode.data}`);
  }
  for (const line of document.querySelectorAll(".fig > div"))
    if (line.scrollWidth > line.clientWidth) said.push(`cut: ${line.innerText}`);
  return said;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_by_everyone_and_never_scrolls_sideways(make_window, name, scheme):
    for width in (1440, 390):
        window = make_window(width, scheme)
        window.open(f"/{name}")
        window.screen(f"{re.sub(r'[/?].*', '', name)}{'-one' if '/' in name else ''}-{width}-{scheme}")
        assert window.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert window.page.evaluate(UNREADABLE) == []
        expect(window.page.get_by_role("navigation").locator("[aria-current]")).to_be_in_viewport(ratio=1)
        assert window.axe() == []


def test_the_first_sight_is_the_newest_recorded_day(window):
    window.open("/")
    assert window.page.get_by_label("Time range").input_value() == "day:2024-01-05"
    figures = window.page.locator("section[aria-label=Figures]")
    assert "6,313" in figures.inner_text()
    assert window.page.locator("section[aria-label='Profit over time']").locator("rect").count() > 5
    window.page.get_by_label("Time range").select_option("day:2022-04-06")
    window.shows("section[aria-label=Figures]", "9,466")
    assert "range=day" in window.page.url


def test_an_opportunity_is_opened_down_to_its_decision(window):
    window.open("/opportunities")
    window.page.locator("section[aria-label=Episodes]").get_by_role("link").first.click()
    window.page.wait_for_selector("h1:has-text('USDC → WETH → USDC')")
    window.settle()
    flow = window.page.locator("section[aria-label='The cycle']").inner_text()
    assert "+4,034.46 USD" in flow
    assert "861,521.73072 in" in flow
    window.screen("opportunity-1440-light")
    assert window.axe() == []
    window.page.locator("section[aria-label='Decisions on it']").get_by_role("link").first.click()
    window.page.wait_for_selector("h1:has-text('Decision')")
    window.settle()
    story = window.page.locator("section[aria-label='From record to reward']").inner_text()
    assert re.search(r"dex-swaps-proto\[\d+\]@\d+", story)
    assert "chosen" in window.page.locator("section[aria-label=Arms]").inner_text()
    window.screen("decision-1440-light")
    assert window.axe() == []


def test_filters_stand_in_the_address_and_come_back_with_it(window):
    window.open("/opportunities?range=all")
    rows = window.page.locator("section[aria-label=Episodes] tbody tr")
    window.page.get_by_label("Net USD at least").fill("2000")
    window.page.keyboard.press("Enter")
    expect(rows).to_have_count(4)
    assert "min_profit_usd=2000" in window.page.url
    window.page.reload()
    expect(rows).to_have_count(4)
    window.page.get_by_role("button", name="Clear filters").click()
    expect(rows).not_to_have_count(4)


def test_keys_lead_everywhere(window):
    window.open("/")
    window.page.keyboard.press("g")
    window.page.keyboard.press("d")
    window.page.wait_for_selector("h1:has-text('Decisions')")
    window.page.keyboard.press("Control+k")
    window.page.keyboard.type("opportun")
    window.page.keyboard.press("Enter")
    window.page.wait_for_selector("h1:has-text('Opportunities')")
    window.page.keyboard.press("/")
    window.page.keyboard.type("d7756bd1c9ec1ea9dcb9eae0be820179")
    window.page.go_back()
    window.page.wait_for_selector("h1:has-text('Decisions')")


def test_the_kill_switch_needs_its_scopes_name_and_shows_the_shards_answers(window):
    window.open("/")
    window.page.get_by_role("button", name="Kill switch").click()
    dialog = window.page.locator("dialog[open]")
    stop = dialog.get_by_role("button", name="Stop now")
    assert stop.is_disabled()
    dialog.get_by_label("Topology").select_option("detect-live")
    dialog.get_by_label("Reason").fill("drill <script>alert(1)</script>")
    dialog.get_by_label("Type detect-live to confirm").fill("everything")
    assert stop.is_disabled()
    dialog.get_by_label("Type detect-live to confirm").fill("detect-live")
    stop.click()
    window.shows("dialog[open]", "CONVERGED")
    assert "detect-live/0" in dialog.inner_text()
    dialog.get_by_label("What").select_option("Release")
    dialog.get_by_label("Reason").fill("drill over")
    dialog.get_by_label("Type detect-live to confirm").fill("detect-live")
    dialog.get_by_role("button", name="Release", exact=True).click()
    expect(window.page.locator(".bar > button.danger")).to_have_text("Kill switch")


def test_a_read_that_the_gateway_asks_to_wait_with_is_asked_again(window):
    busy = {"title": "Busy", "detail": "too many queries", "reason": "TOO_MANY_QUERIES", "retry_after_s": 0.05}
    window.page.route(
        "**/api/stats/summary?*",
        lambda route: route.fulfill(status=429, content_type="application/problem+json", json=busy),
        times=3,
    )
    window.open("/")
    window.shows("section[aria-label=Figures]", "6,313")


def test_the_other_pages_come_before_they_are_asked_for(window):
    with window.page.expect_response(re.compile("/assets/Lab-"), timeout=60_000):
        window.open("/")
    window.page.get_by_role("navigation").get_by_role("link", name="Lab").click()
    window.page.wait_for_selector("h1:has-text('Lab')")


def test_the_theme_is_kept(window):
    window.open("/")
    window.page.get_by_role("button", name="Theme").click()
    window.page.reload()
    window.page.wait_for_selector("main h1")
    assert window.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_topology_is_drawn_with_its_rows(window):
    window.open("/topologies")
    window.page.get_by_role("link", name="detect-live").click()
    window.shows("section[aria-label=Graph]", "decided")
    assert window.page.locator("section[aria-label=Graph] g").count() > 15
    assert window.page.locator("section[aria-label=Graph] path").count() > 15
    assert window.page.get_by_role("button", name="Deploy").is_disabled()
    window.shows("section[aria-label=Shards]", "caught up")


def test_a_rescale_that_would_lose_state_is_refused_before_anything_stops(window):
    window.open("/topologies/detect-live")
    page, rescale = window.page, window.page.get_by_role("button", name="Rescale")
    expect(rescale).to_be_disabled()
    page.get_by_role("textbox", name="Shards").fill("2")
    rescale.click()
    window.shows("[role=alert]", "cannot be split or joined")
    window.shows("section[aria-label=Shards]", "running")
    window.said[:] = [each for each in window.said if "412" not in each]  # the refusal that was asked for


def test_an_upgrade_is_planned_before_it_is_made(window, deployment):
    window.open("/topologies/archive")
    page, plan = window.page, window.page.locator("section[aria-label=Plan]")
    page.get_by_role("button", name="Roll back…").click()
    expect(plan.get_by_role("alert")).to_contain_text("has never been deployed")
    expect(plan.get_by_role("button", name="Roll back")).to_be_disabled()
    window.open("/topologies/label")
    page.get_by_role("button", name="Upgrade…").click()
    expect(plan).to_contain_text("Nothing differs")
    assert window.axe() == []
    plan.get_by_role("button", name="Upgrade").click()
    expect(page.locator(".tools [role=status]").first).to_contain_text("upgrade: running, shards: 1")
    page.get_by_role("button", name="Roll back…").click()
    expect(plan).to_contain_text("would be accepted")
    deployment.run("stop", "label")
    window.said[:] = [each for each in window.said if "412" not in each]  # the refusal that was asked for


def test_every_line_of_a_topology_says_how_many_rows_it_bore(window):
    graph = window.page.request.get(f"{window.address}/api/topologies/detect-live/graph").json()
    for node in graph["nodes"]:
        ports = {edge["from_port"]: edge["rows"] for edge in graph["edges"] if edge["from"] == node["name"]}
        given = sum(edge["rows"] for edge in graph["edges"] if edge["to"] == node["name"])
        assert not ports or sum(ports.values()) == node["rows_out"]
        assert given == node["rows_in"]
        assert node["busy_share"] >= 0
    assert {node["name"]: node["behind"] for node in graph["nodes"] if node["behind"] is not None} == {
        "swaps": 0,
        "updates": 0,
    }


def test_a_node_is_opened_and_steered_from_the_graph(window):
    window.open("/topologies/detect-live")
    page, graph = window.page, window.page.locator("section[aria-label=Graph]")
    graph.get_by_role("button", name=re.compile("^found")).click()
    node = page.locator("section[aria-label='Node found']")
    expect(node.locator("tbody tr").filter(has_text="from decoded.out")).to_contain_text("15,779")
    assert "node=found" in page.url
    assert window.axe() == []
    window.screen("topologies-node-1440-light")
    graph.get_by_role("button", name=re.compile("^found")).press("Enter")
    expect(node).to_have_count(0)
    page.go_back()
    graph.get_by_role("button", name=re.compile("^decided")).press("Enter")
    page.get_by_role("link", name="steer it").click()
    expect(page.get_by_label("Stage")).to_have_value("decided")
    expect(page.get_by_label("exploration", exact=True)).to_have_value("0.05")


def test_a_shard_that_was_stopped_as_it_was_told_to_is_no_fault(window):
    window.open("/")
    expect(window.page.get_by_role("banner")).to_contain_text("1 of 1 shard up")
    rows = window.page.locator("section[aria-label=Shards] tbody tr")
    expect(rows.filter(has_text="detect-live/0")).to_contain_text("live")
    expect(rows.locator(".dot.bad, .dot.warn")).to_have_count(0)


def test_a_policy_is_planned_before_it_is_applied_and_rolled_back(window):
    window.open("/control")
    page = window.page
    settings, apply = page.get_by_label("Settings, as JSON"), page.get_by_role("button", name="Apply")
    assert apply.is_disabled()
    settings.fill('{"min_profit_usd": -1}')
    page.get_by_role("button", name="Validate and plan").click()
    window.shows("main", "would be refused")
    assert apply.is_disabled()
    settings.fill('{"min_profit_usd": ')
    page.get_by_role("button", name="Validate and plan").click()
    window.shows("[role=alert]", "Not JSON")
    for profit in (0.2, 0.3):
        settings.fill(f'{{"min_profit_usd": {profit}}}')
        page.locator("main").get_by_label("Reason").fill(f"<b>{profit}</b>")
        page.get_by_role("button", name="Validate and plan").click()
        window.shows("main", "would be accepted")
        apply.click()
        window.shows("section[aria-label=Policy]", "1 of 1 shards have it")
        window.shows("section[aria-label=History]", f"<b>{profit}</b>")
    page.get_by_role("button", name="Roll back").click()
    rows = page.locator("section[aria-label=History] tbody tr")
    expect(rows.first).to_contain_text('{"min_profit_usd":0.2}')
    rows.first.get_by_role("button", name="Changes").click()
    expect(rows.nth(1)).to_contain_text("− 0.3")
    rows.filter(has_text='{"min_profit_usd":0.3}').first.get_by_role("button", name="Use").click()
    expect(page.get_by_label("min_profit_usd")).to_have_value("0.3")


def test_a_policys_form_knows_its_bounds_and_keeps_whole_numbers_whole(window):
    window.open("/control?topology=detect-live&stage=found")
    page, policy = window.page, window.page.locator("section[aria-label=Policy]")
    settings, apply = page.get_by_label("Settings, as JSON"), page.get_by_role("button", name="Apply")
    profit, hops = page.get_by_label("min_profit_usd"), page.get_by_label("max_hops")
    profit.fill("-1")
    expect(policy.get_by_role("alert")).to_have_text("is at least 0, at most 1,000,000,000")
    profit.fill("much")
    expect(policy.get_by_role("alert")).to_have_text("is a number")
    profit.fill("0.7")
    hops.fill("2.5")
    expect(policy.get_by_role("alert")).to_have_text("is a whole number")
    page.get_by_role("button", name="Validate and plan").click()
    expect(apply).to_be_disabled()
    hops.fill("")
    expect(policy.get_by_role("alert")).to_have_count(0)
    expect(settings).to_have_value('{\n  "min_profit_usd": 0.7\n}')
    costs = page.get_by_label("costs")
    costs.fill('{"solana": {"tip": {"absolute": 123456789012345678901}}}')
    costs.blur()
    expect(settings).to_have_value(re.compile("123456789012345678901"))
    page.get_by_role("button", name="Validate and plan").click()
    window.shows("section[aria-label=Policy]", "would be accepted")
    expect(policy.locator("tr", has_text="/costs")).to_contain_text("123456789012345678901")
    expect(apply).to_be_enabled()
    assert window.axe() == []
    window.screen("control-plan-1440-light")
    settings.fill('{"min_profit_usd": 1, "typo": 1}')
    expect(apply).to_be_disabled()
    window.shows("section[aria-label=Policy]", "a field is not right yet")


def test_sql_by_template_with_parameters_and_errors_in_clickhouses_own_words(window):
    window.open("/sql")
    page = window.page
    page.get_by_label("Template").select_option("top_opportunities")
    page.get_by_label("limit: UInt32").fill("3")
    page.get_by_role("button", name="Run (Ctrl-Enter)").click()
    expect(page.locator("section[aria-label=Result] tbody tr")).to_have_count(3)
    page.get_by_role("textbox", name="SQL").fill("SELECT '<img src=x onerror=alert(1)>' AS x, toUInt64(-1) AS big")
    page.keyboard.press("Control+Enter")
    window.shows("section[aria-label=Result]", "<img src=x onerror=alert(1)>")
    window.shows("section[aria-label=Result]", "18446744073709551615")
    assert page.locator("main img").count() == 0
    page.get_by_role("textbox", name="SQL").fill("SELECT nothing")
    page.get_by_role("button", name="Run (Ctrl-Enter)").click()
    window.shows("[role=alert]", "nothing")
    window.said[:] = [each for each in window.said if "422" not in each]  # the refusal that was asked for


def test_sql_is_completed_by_the_schema_and_shows_how_far_it_is_until_it_is_stopped(window):
    window.open("/sql")
    page, editor = window.page, window.page.get_by_role("textbox", name="SQL")
    offered = page.locator("#completions")
    editor.fill("")
    editor.press_sequentially("SELECT count() FROM raw_sw")
    expect(offered.get_by_role("option").first).to_have_text("raw_swapsView")
    editor.press("Enter")
    editor.press_sequentially(" AS s WHERE s.amou")
    expect(offered.get_by_role("option").first).to_contain_text("amount_in")
    window.screen("sql-completion-1440-light")
    assert window.axe() == []
    editor.press("ArrowDown")
    editor.press("Tab")
    expect(editor).to_have_value("SELECT count() FROM raw_swaps AS s WHERE s.amount_out")
    editor.press_sequentially(" > toUInt1")
    expect(offered.get_by_role("option").first).to_contain_text("toUInt128")
    editor.press("Escape")
    expect(offered).to_be_hidden()
    editor.fill("SELECT sum(cityHash64(number, number)) FROM numbers(100000000000)")
    editor.press("Control+Enter")
    expect(page.locator("section[aria-label=Query]")).to_contain_text(
        re.compile(r"[1-9][\d,]+ of 100,000,000,000 rows")
    )
    window.screen("sql-running-1440-light")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Run (Ctrl-Enter)")).to_be_enabled()
    editor.fill("SELECT 1 AS a\nFROM raw_swaps raw_swaps raw_swaps")
    editor.press("Control+Enter")
    window.shows("[role=alert]", "Syntax error")
    expect(offered).to_be_hidden()
    assert editor.evaluate("each => each.value.slice(each.selectionStart, each.selectionEnd)") == "raw_swaps"
    window.said[:] = [each for each in window.said if not re.search("40[03]|422", each)]  # what was asked for


def test_queries_stand_in_tabs_of_their_own_and_are_kept(window):
    window.open("/sql")
    page, editor = window.page, window.page.get_by_role("textbox", name="SQL")
    tabs, result = page.get_by_role("tab"), page.locator("section[aria-label=Result]")
    editor.fill("SELECT sum(cityHash64(number, number)) FROM numbers(100000000000)")
    editor.press("Control+Enter")
    expect(tabs.first).to_contain_text("running")
    page.get_by_role("button", name="New tab").click()
    expect(tabs).to_have_count(2)
    expect(editor).to_have_value("")
    editor.fill("SELECT {n:UInt8} AS second")
    page.get_by_label("n: UInt8").fill("7")
    editor.press("Control+Enter")
    expect(result.locator("tbody td")).to_have_text("7")
    window.screen("sql-tabs-1440-light")
    assert window.axe() == []
    tabs.nth(1).press("ArrowRight")  # round to the first, which has no result of its own
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    expect(result).to_have_count(0)
    page.get_by_role("button", name="Close tab").click()  # which ends what runs
    expect(tabs).to_have_count(1)
    expect(result.locator("tbody td")).to_have_text("7")
    page.get_by_role("button", name="New tab").click()
    editor.fill("SELECT {n:UInt8} AS edited")
    page.get_by_label("n: UInt8").fill("8")
    page.reload()
    expect(tabs).to_have_count(2)
    expect(editor).to_have_value("SELECT {n:UInt8} AS edited")
    expect(page.get_by_label("n: UInt8")).to_have_value("8")
    page.get_by_role("button", name="Close tab").click()
    expect(editor).to_have_value("SELECT {n:UInt8} AS second")
    history = page.locator("section[aria-label=History]")
    expect(history.locator("tbody tr")).to_have_count(3)
    history.get_by_role("button", name="SELECT {n:UInt8} AS edited").click()
    expect(editor).to_have_value("SELECT {n:UInt8} AS edited")
    page.get_by_role("button", name="Forget").click()
    expect(history).to_contain_text("Nothing was run yet.")


def test_a_result_is_drawn_and_saved_as_it_is(window):
    window.open("/sql")
    page, editor = window.page, window.page.get_by_role("textbox", name="SQL")
    result, shown = page.locator("section[aria-label=Result]"), page.get_by_label("Shown as")
    editor.fill("SELECT toDateTime(86400 * number, 'UTC') AS day, number * number AS squares FROM numbers(5)")
    editor.press("Control+Enter")
    expect(result.locator("tbody tr")).to_have_count(5)
    shown.select_option("squares")
    expect(result.locator("svg rect")).to_have_count(5)
    window.screen("sql-chart-1440-light")
    assert window.axe() == []
    name, most = "concat('a,\"', toString(number)) AS name", "toUInt64(18446744073709551614) + number AS n"
    editor.fill(f"SELECT {name}, {most}, NULL AS x FROM numbers(2)")
    editor.press("Control+Enter")
    expect(shown).to_have_value("")  # the column that was drawn is not there
    shown.select_option("n")
    expect(result.get_by_role("region", name="Chart").locator("tbody tr")).to_have_count(2)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    rows = '"a,""0",18446744073709551614,\\N\r\n"a,""1",18446744073709551615,\\N\r\n'
    assert Path(saved.value.path()).read_bytes().decode() == f"name,n,x\r\n{rows}"


def test_messages_are_filtered_and_one_is_read_byte_by_byte(window):
    window.open("/messages")
    page = window.page
    page.locator("section[aria-label=Topics]").get_by_role("link", name="dex-swaps-proto").click()
    page.get_by_label("From").select_option("earliest")
    page.get_by_label("Where").fill("chain = CHAIN_ETHEREUM; amount_in > 100000000000000000000")
    page.keyboard.press("Enter")
    records = page.locator("section[aria-label=Records]")
    expect(records.locator("tbody tr").first).to_contain_text("chain=CHAIN_ETHEREUM")
    assert re.search(r"[\d,]+ read", records.inner_text())
    records.get_by_role("link").first.click()
    record = page.locator("section[aria-label=Record]")
    record.get_by_role("button", name=re.compile("^amount_in")).click()
    window.shows("section[aria-label=Record]", "amount_in: bytes")
    assert record.locator(".octets .on").count() == 18  # a tag, a length and 16 bytes
    record.locator(".octets button").first.click()
    window.shows("section[aria-label=Record]", "chain: bytes 0 to 1")
    record.get_by_label("Shown as").select_option("json")
    window.shows("section[aria-label=Record]", '"chain": "CHAIN_ETHEREUM"')
    page.get_by_label("Where").fill("nothing = 1")
    page.keyboard.press("Enter")
    window.shows("[role=alert]", "has no field")
    window.said[:] = [each for each in window.said if "400" not in each]  # the refusal that was asked for


def test_two_replays_of_a_day_are_equal(window):
    window.open("/replays")
    page = window.page
    window.shows("section[aria-label=Difference]", "Choose two runs that are done.")
    for run in ("w1", "w2"):
        page.get_by_label("Run id").fill(run)
        page.get_by_label("Results").select_option("files")
        page.get_by_role("button", name="Plan").click()
        window.shows("section[aria-label='New replay']", "messages are read")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("section[aria-label=Runs] tbody tr", has_text=run)).to_have_count(1)
    for run in ("w1", "w2"):
        row = page.locator("section[aria-label=Runs] tbody tr", has_text=run)
        expect(row.locator(".tag")).to_have_text("done", timeout=120_000)
    page.get_by_label("The first run").select_option("w1")
    page.get_by_label("The second run").select_option("w2")
    expect(page.locator("section[aria-label=Difference] .tag")).to_have_text("equal")
    window.shows("section[aria-label=Difference]", "difference 0.00 USD")


def test_services_say_how_they_are(window):
    window.open("/services")
    rows = window.page.locator("section[aria-label=Services] tbody tr")
    for name in ("kafka", "clickhouse", "control", "hub", "shard detect-live/0", "supervisor detect-live"):
        expect(rows.filter(has_text=name).first).to_contain_text("up")
    window.shows("section[aria-label='Live feeds']", "opportunities")


def test_dashboards_go_into_a_grafana_once_it_is_said_what_would_change(window, api):  # noqa: F811
    url, handler = api
    window.open("/services")
    panel = window.page.locator("section[aria-label=Grafana]")
    panel.get_by_label("Address").fill(url)
    panel.get_by_label("Token").fill(TOKEN)
    apply = panel.get_by_role("button", name="Apply")
    expect(apply).to_be_disabled()
    panel.get_by_role("button", name="Plan").click()
    expect(panel.locator("tbody tr", has_text="would be made")).to_have_count(8)
    assert writes(handler) == []
    apply.click()
    expect(panel.locator("tbody tr", has_text="made")).to_have_count(8)
    panel.get_by_role("button", name="Plan").click()
    expect(panel.locator("tbody tr", has_text="is the same")).to_have_count(8)
    panel.get_by_label("ClickHouse").fill("http://clickhouse:8123")
    panel.get_by_label("Database").fill("mev")
    expect(apply).to_be_disabled()
    panel.get_by_role("button", name="Plan").click()
    expect(panel.locator("tbody tr", has_text="would be made")).to_have_text(re.compile("mevflow ClickHouse"))
    apply.click()
    expect(panel.locator("tbody tr", has_text="was the same")).to_have_count(8)
    made = handler.kept[f"/api/datasources/uid/{TABLES_UID}"]["jsonData"]
    assert (made["host"], made["defaultDatabase"]) == ("clickhouse", "mev")
    window.screen("services-grafana-1440-light")
    assert window.axe() == []


def test_a_running_replay_is_cancelled(window):
    run = {"topology": "detect-live", "run_id": "c1", "files_only": True, "replace": True}
    post = window.page.request.post
    assert post(f"{window.address}/api/replays", data=run).ok
    cancel, named = f"{window.address}/api/replays/cancel", {"topology": "detect-live", "run_id": "c1"}
    assert post(cancel, data=named, timeout=0).json()["state"] == "cancelled"
    window.open("/replays")
    row = window.page.locator("section[aria-label=Runs] tbody tr", has_text="c1")
    expect(row.locator(".tag")).to_have_text("cancelled", timeout=120_000)
    assert post(cancel, data=named).status == 404


def test_learning_shows_what_each_arm_brought(window):
    window.open("/learning?range=all")
    expect(window.page.locator("section[aria-label=Policies] tbody tr")).to_have_count(2)
    window.page.locator("section[aria-label=Arms]").get_by_role("link", name="skip").first.click()
    window.page.wait_for_selector("h1:has-text('Decisions')")
    assert "arm=skip" in window.page.url


def test_smoke_tests_are_buttons(window):
    window.open("/lab")
    runs = window.page.locator("section[aria-label=Runs] tbody tr")
    before = runs.count()
    window.page.get_by_role("button", name="Run all").click()
    rows = window.page.locator("section[aria-label='Smoke tests'] tbody tr")
    for name in ("broker", "decode", "clickhouse", "hub", "detect", "policy", "websocket"):
        row = rows.filter(has=window.page.get_by_role("button", name=f"Run {name}"))
        expect(row.locator(".tag")).to_have_text("passed", timeout=60_000)
    expect(runs).to_have_count(before + 7)
