"""Rows that are pushed: they come without being asked for, each once, also over a stop, a hidden tab and a restart."""

import itertools
import re
import time

import pytest
from playwright.sync_api import expect

from mevflow.kafka.topics import TopicSpec, admin_client, create
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from mevflow.v1 import decision_pb2
from mevflow.v1.market_pb2 import Swap, Venue
from mevflow.web import FOLDER
from tests.sinks.clickhouse.rows import batch_of, opportunity

expect.set_options(timeout=60_000)
pytestmark = pytest.mark.timeout(900)

#: A day for each test alone, long before the recorded ones, and not those of the run before.
_DAY_US = 86_400_000_000
DAYS_US = itertools.count(631_152_000_000_000 + int(time.time()) // 60 % 500 * 12 * _DAY_US, _DAY_US)
ROWS = "section[aria-label=Episodes] tbody tr"


class Day:
    """A day of one test."""

    def __init__(self):
        self.start_us = next(DAYS_US)
        self.range = f"{self.start_us}-{self.start_us + 86_400_000_000}"

    def us(self, second):
        return self.start_us + second * 1_000_000

    def episode(self, number, **more):
        """The first moment of an episode of its own."""
        at = {"timestamp_us": self.us(number), "opened_us": self.us(number), "opened_slot": number, "slot": number}
        given = {"path": f"L{number} > M > L{number}", "net_profit_usd": number / 100, "topology": "pushed"}
        return opportunity(self.start_us + number, **{**at, **given, **more})

    def decision(self, number):
        return decision_pb2.Decision(
            decision_id=self.us(number).to_bytes(16, "big"), topology="pushed", chain=1, slot=number, arm="0.5",
            propensity=0.5, timestamp_us=self.us(number), policy="tip-linucb", expected_profit_usd=number / 100,
        )  # fmt: skip


@pytest.fixture
def day():
    return Day()


@pytest.fixture
def push(deployment):
    """Give messages to the hub as a shard does."""
    sinks = {}

    def give(channel, *messages):
        if channel not in sinks:
            settings = WebSocketSettings(hub="external", port=deployment.port("WEBSOCKET_"), channel=channel)
            sinks[channel] = WebSocketSink(settings, StageContext("pushed", channel))
            sinks[channel].open(None)
        sinks[channel].write(batch_of(list(messages)))

    yield give
    for sink in sinks.values():
        sink.close()


@pytest.fixture
def store(deployment):
    """Write messages into the history as a shard does."""
    sink = ClickHouseSink(ClickHouseSettings(port=deployment.port("CLICKHOUSE_")), StageContext("pushed", "history"))
    sink.open(None)

    def give(*messages):
        sink.write(batch_of(list(messages)))
        sink.snapshot()

    yield give
    sink.close()


@pytest.fixture
def send_swaps(deployment):
    """Swaps by their slots, onto a topic of this test alone; two are there from the beginning."""
    from confluent_kafka import Producer

    bootstrap, name = deployment.bootstrap, "lab-followed"
    with admin_client(bootstrap) as client:
        if name in client.list_topics():
            client.delete_topics([name])
    create(bootstrap, (TopicSpec(name, 2),))
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "log_level": 0})

    def give(*slots):
        for slot in slots:
            producer.produce(name, Swap(chain=1, slot=slot).SerializeToString(), partition=slot % 2)
        assert producer.flush(60) == 0

    give(1, 2)
    return give


@pytest.fixture
def watching(window):
    """Open a page and wait until it is live; counts what it asks of the history."""
    window.asked = []
    window.page.on("request", lambda request: window.asked.append(request.url))

    def open_page(path):
        window.open(path)
        live(window)

    window.watch = open_page
    return window


def live(window):
    expect(window.page.locator(".health .tag")).to_have_text(re.compile("^live"), timeout=120_000)


def test_the_field_numbers_are_those_of_the_messages():
    text = (FOLDER / "src" / "live" / "rows.ts").read_text()
    for name, message in (("LEG", "Leg"), ("OPPORTUNITY", "Opportunity"), ("DECISION", "Decision")):
        body = re.search(rf"const {name}: Fields = \{{(.*?)\n?\}};", text, re.DOTALL)[1]
        found = {int(number): field for number, field in re.findall(r'(\d+): \["(\w+)"', body)}
        fields = getattr(decision_pb2, message).DESCRIPTOR.fields_by_number
        assert found == {number: fields[number].name for number in found}
        assert found


def test_the_venues_are_those_of_the_messages():
    body = re.search(r"const VENUES[^=]*= \{(.*?)\n\};", (FOLDER / "src" / "live" / "rows.ts").read_text(), re.DOTALL)[
        1
    ]
    found = {int(number): name for number, name in re.findall(r'(\d+): "(\w+)"', body)}
    assert found == {number: name.removeprefix("VENUE_").lower() for name, number in Venue.items()}


def test_episodes_come_by_themselves_each_once_and_grow(watching, day, push):
    watching.watch(f"/opportunities?range={day.range}&order=time")
    rows = watching.page.locator(ROWS)
    push("opportunities", *(day.episode(number) for number in (1, 2, 3)))
    expect(rows).to_have_count(3)
    assert "L3 → M → L3" in rows.first.inner_text()
    expect(rows.first).to_contain_text("not seen to close")
    later = {"timestamp_us": day.us(5), "slot": 5}
    better = day.episode(3, opportunity_id=b"\1" * 16, net_profit_usd=7.5, **later)
    push("opportunities", better, better)  # the same twice: nothing is counted twice
    expect(rows.first).to_contain_text("+7.50")
    ended = day.episode(3, opportunity_id=b"\2" * 16, closed=True, net_profit_usd=0.0, **later)
    push("opportunities", ended)
    expect(rows.first).to_contain_text("2 blocks, 2.0 s")
    expect(rows.first).to_contain_text("+7.50")
    expect(rows).to_have_count(3)
    watching.page.get_by_label("Net USD at least").fill("1")  # filters hold for pushed rows as for stored ones
    watching.page.keyboard.press("Enter")
    expect(rows).to_have_count(0)
    for _ in range(30):  # what comes while the page asks for its history is the history's, which has nothing here
        push("opportunities", day.episode(4), day.episode(5, net_profit_usd=2.0))
        watching.page.wait_for_timeout(1_000)
        if rows.count():
            break
    expect(rows).to_have_count(1)


def test_a_hostile_symbol_is_text_and_stays_in_its_cell(watching, day, push):
    page, rows = watching.page, watching.page.locator(ROWS)
    watching.watch(f"/opportunities?range={day.range}&order=time")
    push("opportunities", day.episode(1, path="<img src=x onerror=alert(1)> > \u202etfel > A"))
    push("opportunities", day.episode(2, path="W" * 10_000 + " > M > A"))
    expect(rows).to_have_count(2)
    cycles = [row.locator("td").nth(2).inner_text() for row in rows.all()]
    assert cycles[1] == "<img src=x onerror=alert(1)> → \u2068\ufffdtfel\u2069 → A"
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    heights = [row.bounding_box()["height"] for row in rows.all()]
    assert max(heights) < 60
    watching.screen("opportunities-hostile-1440-light")
    nets = [row.locator("td").nth(3).inner_text() for row in rows.all()]
    assert nets == ["+0.02", "+0.01"]


def test_of_many_rows_those_in_sight_are_drawn(watching, day, store):
    store(*(day.episode(number) for number in range(1, 151)))
    watching.watch(f"/opportunities?range={day.range}&order=time")
    page, rows = watching.page, watching.page.locator(ROWS)
    expect(page.locator("section[aria-label=Episodes]")).to_contain_text("150 rows, all there are")
    expect(rows.filter(has_text="L150 → M → L150")).to_have_count(1)
    assert rows.count() < 80
    page.get_by_role("region", name="Episodes").last.focus()
    page.keyboard.press("End")
    expect(rows.filter(has_text=re.compile("L1 → M → L1(?!\\d)"))).to_be_visible()
    expect(rows.filter(has_text="L150 → M → L150")).to_have_count(0)
    page.keyboard.press("Home")
    expect(rows.filter(has_text="L150 → M → L150")).to_be_visible()
    assert watching.axe() == []


def test_a_flood_leaves_the_page_with_its_newest_rows_and_says_what_it_left_out(watching, day, push):
    watching.watch(f"/opportunities?range={day.range}&order=time")
    for first in range(0, 20_000, 4_000):
        push("opportunities", *(day.episode(number) for number in range(first, first + 4_000)))
    expect(watching.page.locator(".health .tag")).to_contain_text("from the history")
    told = watching.page.locator(".health .tag").get_attribute("title")
    assert int(re.search(r"([\d,]+) left out", told)[1].replace(",", "")) > 1_000
    expect(watching.page.locator(ROWS).filter(has_text="L19999 → M → L19999")).to_be_visible()


def test_decisions_come_by_themselves(watching, day, push):
    watching.watch(f"/decisions?range={day.range}")
    push("decisions", day.decision(1), day.decision(2))
    rows = watching.page.locator("section[aria-label=Decisions] tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("not known yet")
    assert watching.axe() == []


def test_the_best_episodes_of_the_overview_come_by_themselves(watching, day, push):
    watching.watch(f"/overview?range={day.range}")
    push("opportunities", *(day.episode(number) for number in range(20, 30)))
    rows = watching.page.locator("section[aria-label='Best opportunities'] tbody tr")
    expect(rows.first).to_contain_text("L29 → M → L29")
    expect(rows).to_have_count(8)
    watching.screen("overview-live-1440-light")


def test_while_nothing_is_pushed_nothing_is_asked(watching, day):
    """The questions after a connection's beginning come to an end: then minutes pass without one."""
    page, quiet = watching.page, 0
    page.clock.install()
    watching.watch(f"/opportunities?range={day.range}&chain=ethereum")
    for _ in range(20):
        watching.asked.clear()
        page.clock.fast_forward(61_000)
        page.wait_for_timeout(300)
        quiet = 0 if any("/api/opportunities" in url for url in watching.asked) else quiet + 1
        if quiet == 3:
            break
    assert quiet == 3


def test_a_stop_leaves_no_gap_and_no_double(watching, day, push, store):
    watching.watch(f"/opportunities?range={day.range}&order=time&min_open_slots=0&legs=2")
    page, rows = watching.page, watching.page.locator(ROWS)
    store(day.episode(101))
    push("opportunities", day.episode(101))
    cells = page.locator(f"{ROWS} td:nth-child(3)")
    expect(cells.first).to_have_text("L101 → M → L101")
    page.locator("main").click(position={"x": 2, "y": 2})
    page.keyboard.press(" ")
    expect(page.locator(".health")).to_contain_text("paused")
    store(day.episode(102))
    push("opportunities", day.episode(102))
    page.keyboard.press(" ")
    live(watching)
    store(day.episode(103))
    push("opportunities", day.episode(103))
    expect(cells.first).to_have_text("L103 → M → L103")
    expect(rows.filter(has_text="L102 → M → L102")).to_have_count(1)
    shown = cells.all_inner_texts()
    assert len(shown) == len(set(shown))


def test_records_are_followed_filtered_at_the_server_and_go_on_after_a_stop(window, deployment, send_swaps):
    window.open("/messages/lab-followed?schema=mevflow.v1.Swap&where=slot%20%3E%3D%20100&every=1&rate=1000")
    page, records = window.page, window.page.locator("section[aria-label=Records]")
    page.get_by_role("button", name="Follow").click()
    expect(records).to_contain_text("following")
    send_swaps(*range(90, 110))
    expect(records.locator("tbody tr")).to_have_count(10)
    expect(records).to_contain_text("22 read")
    page.get_by_role("button", name="Stop following").click()
    expect(records.get_by_text("following", exact=True)).to_have_count(0)
    send_swaps(*range(110, 130))
    page.get_by_role("button", name="Follow").click()
    expect(records.locator("tbody tr")).to_have_count(30)
    send_swaps(*range(130, 135))
    expect(records.locator("tbody tr")).to_have_count(35)
    slots = [int(re.search(r"slot=(\d+)", row)[1]) for row in records.locator("tbody tr").all_inner_texts()]
    assert sorted(slots) == list(range(100, 135))
    expect(records).to_contain_text("47 read")
    expect(records).to_contain_text("0 sampled out")
    window.screen("messages-followed-1440-light")
    assert window.axe() == []


def test_a_gateway_that_restarts_leaves_no_gap_and_no_double(watching, day, push, store, deployment):
    watching.watch(f"/opportunities?range={day.range}&order=time&token=L20")
    page, rows = watching.page, watching.page.locator(ROWS)
    store(day.episode(200))
    push("opportunities", day.episode(200))
    expect(rows).to_have_count(1)
    deployment.run("control", "stop")
    expect(page.locator(".health")).to_contain_text("gateway: Gateway unreachable")
    store(day.episode(201))
    push("opportunities", day.episode(201))  # nobody hears it
    deployment.run("control", "start")
    live(watching)
    store(day.episode(202))
    push("opportunities", day.episode(202))
    expect(rows).to_have_count(3)
    expect(page.locator(f"{ROWS} td:nth-child(3)")).to_have_text([f"L{n} → M → L{n}" for n in (202, 201, 200)])
    away = re.compile("ERR_CONNECTION|WebSocket connection|50[234]")  # what the browser says meanwhile
    watching.said[:] = [each for each in watching.said if not away.search(each)]


def test_a_hidden_tab_hears_nothing_and_shows_all_when_it_is_seen_again(watching, day, push, store):
    watching.watch(f"/opportunities?range={day.range}&order=time&token=L30")
    page, rows = watching.page, watching.page.locator(ROWS)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    expect(page.locator(".health")).to_contain_text("not live")
    store(day.episode(300))
    push("opportunities", day.episode(300))
    page.evaluate(hide, False)
    live(watching)
    expect(rows).to_have_count(1)
