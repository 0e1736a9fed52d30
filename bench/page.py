"""How the dashboard holds its budgets in a real Chromium: ``python -m mevflow.bench.page``, beside ``make run KEEP=1``.

It opens the dashboard of the running gateway, times the first paint and the way from page to page, and then has the hub
send opportunities to the page at ``RATE`` messages a second while it counts frames and looks at the memory. What is
sent is of a day of its own that no page shows by itself, and is stored nowhere.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pyarrow as pa

from mevflow.flows.config import config
from mevflow.operators.codec import codec
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from mevflow.v1.decision_pb2 import Opportunity

RATE, SECONDS = 200_000, 15.0
_BLOCK = 4_000
#: 2001-09-09, which nobody has recorded.
_DAY_US = 1_000_000_000_000_000
_PAGES = ("opportunities", "decisions", "learning", "messages", "sql", "overview")
_CHROMIUM = "/usr/bin/chromium"
_FRAMES = """() => { const seen = window.seenFrames = []; let last = performance.now();
  const next = now => { seen.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next); }"""


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """The figures, with the load of the machine. Raises MevflowError without Chromium or a gateway."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise MevflowError("the bench drives Chromium by playwright", hint="pip install playwright") from error
    address = f"http://127.0.0.1:{config().control.http_port}"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
        try:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=flags)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}/overview")
        except Error as error:
            raise MevflowError(f"no dashboard at {address}: {error.message}", hint="make run KEEP=1") from error
        page.wait_for_selector("main h1")
        paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        switches = [_switch(page, name) for name in _PAGES]
        held = _under_load(page, f"{address}/opportunities?range={_DAY_US}-{_DAY_US + 86_400_000_000}", seconds)
        browser.close()
    return {
        "bench": "page",
        "load": os.getloadavg()[0],
        "figures": [
            {"name": "first contentful paint", "value": paint_ms, "unit": "ms", "budget": 500},
            {"name": "page switch, worst of 6", "value": max(switches), "unit": "ms", "budget": 100},
            *held,
        ],
    }


def _switch(page: Any, name: str) -> float:
    """Milliseconds from the click in the rail to the page's heading."""
    return float(
        page.evaluate(
            """name => new Promise(done => { const began = performance.now();
              document.querySelector(`.rail a[href^="/${name}"]`).click();
              const look = () => document.querySelector('main h1')?.textContent.toLowerCase() === name
                ? done(performance.now() - began) : requestAnimationFrame(look);
              look(); })""",
            name,
        )
    )


def _under_load(page: Any, url: str, seconds: float) -> list[dict[str, Any]]:
    page.goto(url)
    page.locator(".health .tag", has_text="live").wait_for(timeout=60_000)
    settings = WebSocketSettings(hub="external", port=config().websocket.port, channel="opportunities")
    sink = WebSocketSink(settings, StageContext("bench", "page"))
    sink.open(None)
    heap = "performance.memory.usedJSHeapSize / 1048576"
    block = _block()
    page.evaluate(_FRAMES)
    before, began, sent = page.evaluate(heap), time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        if sent > passed * RATE:
            time.sleep(0.002)
            continue
        sink.write(block)
        sent += block.num_rows
    took = time.monotonic() - began
    frames = sorted(page.evaluate("window.seenFrames"))
    told = page.locator(".health .tag[title]").get_attribute("title")
    after = page.evaluate(heap)
    sink.close()
    print(f"the page says: {told}", file=sys.stderr)
    return [
        {"name": "messages sent to the page", "value": sent / took, "unit": "messages/s", "budget": RATE},
        {"name": "frames", "value": len(frames) / took, "unit": "1/s", "budget": 60},
        {"name": "longest of 99 % of frames", "value": frames[int(len(frames) * 0.99)], "unit": "ms", "budget": 34},
        {"name": f"memory gained in {took:.0f} s", "value": after - before, "unit": "MiB", "budget": 50},
    ]


def _block() -> pa.RecordBatch:
    rows = [
        Opportunity(
            opportunity_id=number.to_bytes(16, "big"), topology="bench", chain="CHAIN_SOLANA", slot=number,
            opened_slot=number, timestamp_us=_DAY_US + number, opened_us=_DAY_US + number,
            net_profit_usd=number / 100, path="A > B > A",
        ).SerializeToString()
        for number in range(_BLOCK)
    ]  # fmt: skip
    return codec("mevflow.v1.Opportunity").decode(pa.array(rows, pa.binary()))


def main() -> int:
    try:
        found = run()
    except MevflowError as error:
        print(f"mevflow: {error.message}\n  try: {error.hint}", file=sys.stderr)
        return 3
    print(f"load of the machine {found['load']:.1f}")
    for figure in found["figures"]:
        print(f"{figure['name']:32} {figure['value']:12,.1f} {figure['unit']:12} budget {figure['budget']:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
