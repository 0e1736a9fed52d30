"""The hub over WebTransport in Chromium, to a certificate that it knows by the hash alone."""

import http.server
import threading

import pytest

from mevflow.sinks.websocket.hub.handover import pull
from mevflow.sinks.websocket.hub.tickets import ask_ticket
from mevflow.sinks.websocket.hub.wire import ticket_path
from tests.sinks.websocket.hub.conftest import make_hub, make_sink  # noqa: F401
from tests.sinks.websocket.hub.live import Taken, swaps
from tests.web.conftest import CHROMIUM, FLAGS

pytestmark = pytest.mark.timeout(300)
#: A hub on loopback is asked from a page on loopback; and QUIC is what this is about.
_FLAGS = [*(flag for flag in FLAGS if flag != "--disable-quic"), "--disable-features=LocalNetworkAccessChecks"]
#: Made before a browser runs: Playwright's greenlets and the first import of pandas wait for each other for ever.
ROWS = [swaps(300), swaps(8, first=300)]
_OPEN = """async ([url, hash]) => {
  const value = Uint8Array.from(hash.match(/../g), (each) => parseInt(each, 16));
  const transport = new WebTransport(url, { serverCertificateHashes: [{ algorithm: "sha-256", value }] });
  transport.closed.then((how) => (window.ended = [how.closeCode, how.reason]), () => (window.ended = ["error"]));
  window.came = [];
  await transport.ready;
  const own = (await transport.createUnidirectionalStream()).getWriter();
  window.say = (bytes) => own.write(Uint8Array.from([0, 0, 0, bytes.length, ...bytes]));
  const { value: stream } = await transport.incomingUnidirectionalStreams.getReader().read();
  const reader = stream.getReader();
  const next = async () => {
    const { value, done } = await reader.read();
    if (done) return;
    window.came.push(...value);
    setTimeout(next);
  };
  next();
}"""


@pytest.fixture
def origin():
    """A page of its own, on loopback: what a browser lets use WebTransport."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()

        def log_message(self, *said):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def read(page):
    """What came so far, in whole records."""
    data, taken = bytes(page.evaluate("window.came")), Taken()
    while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[:4], "big")):
        taken.add(data[4:end])
        data = data[end:]
    return taken


def until(page, done):
    for _ in range(1_200):
        if done(taken := read(page)):
            return taken
        page.wait_for_timeout(100)
    raise AssertionError(taken.sequences)


@pytest.fixture
def page(playwright, origin):
    browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
    page = browser.new_page()
    page.goto(origin)
    yield page
    browser.close()


def test_a_browser_reads_the_hub(make_hub, make_sink, page):  # noqa: F811
    hub = make_hub("--webtransport")
    sink = make_sink(hub)
    told, leash = ask_ticket(ticket_path(hub.path), 10)
    with leash:
        url = f"https://127.0.0.1:{told['port']}/wt?ticket={told['ticket']}"
        page.evaluate(_OPEN, [f"{url}&channels=swaps", told["sha256"]])
        until(page, lambda taken: taken.sequences == [1])
        sink.write(ROWS[0])
        assert until(page, lambda taken: taken.known >= 300).slots == list(range(300))
        before = len(read(page).sequences)
        page.evaluate("say([10, 5, 111, 116, 104, 101, 114])")  # Subscribe, channels: "other"
        until(page, lambda taken: len(taken.sequences) > before)
        sink.write(ROWS[1])
        (client,) = hub.status.clients
        assert client["channels"] == ["other"]
        pull(leash, 1008, "the session is gone")
        until(page, lambda taken: page.evaluate("window.ended ?? null"))
        assert page.evaluate("window.ended") == [1008, "the session is gone"]
        assert read(page).known == 300
