"""What arrives at the socket: nothing of one request is read as another, pages are refused first, all is bounded."""

import gzip
import http.client
import socket
import time
import zlib

import lz4.frame
import pytest
from backports import zstd

from mevflow.clickhouse import daemon
from mevflow.processes.addresses import free_port

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
ASK = b"GET /?query=SELECT%20424242 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def talk(clickhouse_server):
    def talk(*parts):
        """Send ``parts`` and read until the server closes."""
        with socket.create_connection(("127.0.0.1", clickhouse_server.port), timeout=30) as connection:
            taken = b""
            try:
                for part in parts:
                    connection.sendall(part)
                while piece := connection.recv(65536):
                    taken += piece
            except (ConnectionError, BrokenPipeError):
                pass
            return taken

    return talk


@pytest.mark.parametrize("origin", [b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: same-site", b"Origin: http://a.b"])
@pytest.mark.parametrize("path", [b"/x", b"/ping", b"/", b"/?query=SELECT%201", b"//", b"/query/../x"])
def test_a_pages_body_is_never_the_next_request(talk, path, origin):
    inner = b"GET /?query=SELECT%20424242 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\nContent-Length: %d\r\n\r\n" % (path, origin, len(inner))
    answer = talk(head + inner, b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"424242" not in answer
    assert b"DB::Exception" in answer


@pytest.mark.parametrize("path", [b"/x", b"/ping", b"/x?query=SELECT%201"])
def test_an_unread_body_is_dropped_and_the_next_request_served(talk, path):
    """Without any sign of a page: the body of a refused request is framed as a body all the same."""
    inner = b"GET /?query=SELECT%20131313 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = talk(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path, len(inner), inner), ASK
    )
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"131313" not in answer
    assert answer.endswith(b"424242\n")


HEADERS = {
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nabcde",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length with a sign": b"Content-Length: +5\r\n\r\nabcde",
    "a length in hex": b"Content-Length: 0x5\r\n\r\nabcde",
    "another coding": b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding in disguise": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"X: a\r\n b\r\n\r\n",
    "a bare line feed": b"X: a\nContent-Length: 5\r\n\r\nabcde",
    "an odd chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a signed chunk size": b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "a chunk size with blanks": b"Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n",
    "an endless chunk size": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "a chunk longer than its size": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nabcde",
    "two hosts": b"Host: localhost\r\nContent-Length: 0\r\n\r\n",
    "a byte that is none": b"X: a\x00b\r\n\r\n",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(talk, kind):
    answer = talk(POST + HEADERS[kind], ASK)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"424242" not in answer


def test_trailers_are_not_headers(talk):
    body = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\nSELECT 1\r\n0\r\n"
    answer = talk(POST + body + b"X-ClickHouse-Format: JSON\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n1\n")


LARGE = {
    "an endless URL": (b"GET /?query=", b"x" * 65536, 40),
    "an endless header": (POST + b"X: ", b"x" * 65536, 40),
    "endless headers": (POST, b"X: x\r\n" * 10_000, 40),
    "an endless chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"x" * 65536, 40),
    "an endless trailer": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 65536, 40),
    "endless small requests": (b"", b"GET /?query=SELECT%201 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000, 40),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_not_a_body_is_bounded(talk, kind):
    start, piece, count = LARGE[kind]
    answer = talk(start, *[piece] * count)
    assert answer.count(b"HTTP/1.1 200 ") <= 10
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200 "))


def test_a_refused_body_is_read_only_so_far(clickhouse_server):
    with socket.create_connection(("127.0.0.1", clickhouse_server.port), timeout=30) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n")
        connection.sendall(bytes(1 << 20))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(ConnectionError):
            connection.sendall(bytes(200 << 20))


def _deflated(size):
    """Zeros, as tight as they get: ``size`` bytes of them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def _zeros(pack, size):
    return pack(bytes(64 << 20)) * (size >> 26)


BOMBS = {
    "zstd": lambda: _zeros(zstd.compress, 4 << 30),
    "lz4": lambda: _zeros(lz4.frame.compress, 1 << 30),
    "gzip": lambda: _zeros(gzip.compress, 1 << 30),
    "deflate": lambda: _deflated(1 << 30),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_costs_little(tmp_path, encoding):
    port = free_port()
    pid = daemon.start(tmp_path, port=port)
    try:
        before = _peak_kb(pid)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("POST", "/", body=BOMBS[encoding](), headers={"Content-Encoding": encoding})
        reply = connection.getresponse()
        assert (reply.status, b"more than" in reply.read()) == (413, True)
        connection.close()
        assert _peak_kb(pid) - before < 400_000
    finally:
        daemon.stop(tmp_path)


def test_a_reader_that_does_not_read_holds_little(tmp_path):
    """An answer of gigabytes that nobody takes: the query waits with a few blocks made, and ends with its reader."""
    port = free_port()
    pid = daemon.start(tmp_path, port=port)
    try:
        before = _peak_kb(pid)
        with socket.create_connection(("127.0.0.1", port)) as reader:
            reader.sendall(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 53\r\n\r\n"
                b"SELECT repeat('x', 1000) FROM numbers(10000000) -- abc"[:-1]
            )
            reader.recv(1000)
            for _ in range(20):
                assert _peak_kb(pid) - before < 700_000
                time.sleep(0.05)
        while _ask(port, "SELECT count() FROM system.processes WHERE query LIKE '%10000000%'") != b"1\n":
            time.sleep(0.05)
    finally:
        daemon.stop(tmp_path)


def test_many_silent_connections_do_not_keep_others_out(clickhouse_server):
    silent = [socket.create_connection(("127.0.0.1", clickhouse_server.port)) for _ in range(300)]
    for connection in silent[::2]:
        connection.sendall(b"POST / HT")
    assert _ask(clickhouse_server.port, "SELECT 1") == b"1\n"
    for connection in silent:
        connection.close()


def test_the_password_comes_before_the_path_and_the_body(tmp_path):
    port = free_port()
    daemon.start(tmp_path, port=port, password="s3cret")
    try:
        for target in ("/", "/nowhere", "/?query=SELECT%201", "/ping"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", target, body=b"SELECT 1")
            reply = connection.getresponse()
            assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (401, "194")
            connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
    finally:
        daemon.stop(tmp_path)


def _ask(port, query):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/", body=query)
        return connection.getresponse().read()
    finally:
        connection.close()


def _peak_kb(pid):
    """The most memory that the process ever held."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
