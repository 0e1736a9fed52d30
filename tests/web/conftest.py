"""The dashboard in Chromium, against a real broker, engine, hub, topology and gateway with the recorded days."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mevflow.web import FOLDER, built

ROOT = Path(__file__).resolve().parents[2]
SCREENS = ROOT / "build" / "screens"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: The browser's own line for a read that the gateway asked to wait with; the page asks again.
_TOLD_TO_WAIT = "status of 429"
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@pytest.fixture(scope="session")
def deployment(request):
    """Running and loaded with the recorded days; the page's files are there, and what looks at it."""
    if not built() or not (FOLDER / "node_modules" / "axe-core").is_dir():
        subprocess.run([sys.executable, "-m", "mevflow.web.build"], check=True)
    return request.getfixturevalue("live")


@pytest.fixture(scope="session")
def address(deployment):
    """The gateway's."""
    return f"http://127.0.0.1:{deployment.port('CONTROL__HTTP')}"


@pytest.fixture(scope="session")
def playwright():
    """There can be one in a process."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM.exists(), "the browser tests need Chromium: apt-get update && apt-get install -y chromium"
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(address, playwright):
    running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
    yield running
    running.close()


@dataclass
class Window:
    """A page of the browser, what its console said, and axe."""

    page: object
    address: str
    said: list

    def open(self, path):
        self.page.goto(self.address + path)
        self.page.wait_for_selector("main h1")
        self.settle()

    def settle(self):
        """Until no panel is loading any more."""
        self.page.wait_for_selector("[aria-busy=true]", state="detached")

    def shows(self, selector, text):
        """Wait until an element says ``text``. Waiting for an expression would need eval, which the policy forbids."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def axe(self):
        """Violations of WCAG 2.1 A and AA, as text."""
        self.page.evaluate((FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found = self.page.evaluate("rules => axe.run(document, rules)", _RULES)
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]

    def screen(self, name):
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


@pytest.fixture
def make_window(browser, address):
    """Open windows; at the end none of their consoles has said anything."""
    made, contexts = [], []

    def make(width=1440, scheme="light", height=900):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        window = Window(page, address, [])
        page.on("console", lambda each: window.said.append(each.text) if each.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: window.said.append(str(error)))
        made.append(window)
        return window

    yield make
    for context in contexts:
        context.close()
    said = [[text for text in window.said if _TOLD_TO_WAIT not in text] for window in made]
    assert [texts for texts in said if texts] == []


@pytest.fixture
def window(make_window):
    return make_window()
