"""What the hub's packets are marked with, as the network sees them."""

import asyncio
import socket

import pytest

from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.dscp import code_point, mark
from mevflow.sinks.websocket.hub.handover import hand_over
from mevflow.sinks.websocket.hub.wire import door_path
from tests.sinks.websocket.hub.live import subscribed

_HEAD = (
    b"GET /ws? HTTP/1.1\r\nhost: hub\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize(("text", "code"), [("EF", 46), ("af41", 34), ("CS5", 40), ("0", 0), ("63", 63), ("", None)])
def test_names_and_numbers(text, code):
    assert code_point(text) == code


@pytest.mark.parametrize("text", ["64", "-1", "AF44", "CS8", "0x2e", "²", "EF EF", "9" * 5_000])
def test_what_is_none(text):
    with pytest.raises(UsageError):
        code_point(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_accepted_sockets_inherit_the_mark(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        mark(listening, 46)
        with socket.create_connection(listening.getsockname()[:2]):
            accepted, _ = listening.accept()
            with accepted:
                assert _mark_of(accepted) == 46 << 2


def _mark_of(connection):
    if connection.family == socket.AF_INET6:
        return connection.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    return connection.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--dscp", "EF"), 46)])
async def test_packets_of_the_hub(make_hub, options, code):
    hub = make_hub(*options)
    try:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800))
    except PermissionError:
        pytest.skip("packets are seen with CAP_NET_RAW only")
    with wire:
        wire.bind(("lo", 0))
        wire.setblocking(False)
        async with subscribed(hub.url) as client:
            seen = asyncio.create_task(_marked(wire, hub.port))
            while not seen.done():  # beside other traffic the wire may be read too late for one packet
                await client.ping()
                await asyncio.wait([seen], timeout=0.1)
            assert await seen == code


async def test_a_client_that_was_handed_over_is_marked_too(make_hub):
    hub = make_hub("--dscp", "AF41")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
        listening.accept()[0] as accepted,
        hand_over(door_path(hub.path), _HEAD, accepted.fileno()),
    ):
        assert b" 101 " in await asyncio.to_thread(client.recv, 4096)
        assert _mark_of(accepted) == 34 << 2  # the socket is one, in both processes


async def _marked(wire, port):
    """The DSCP of a packet with data that comes from ``port``."""
    loop = asyncio.get_running_loop()
    while True:
        packet = (await loop.sock_recv(wire, 1 << 16))[14:]
        start = (packet[0] & 15) * 4
        tcp = packet[start:]
        if packet[9] == 6 and int.from_bytes(tcp[:2]) == port and len(tcp) > (tcp[12] >> 4) * 4:
            return packet[1] >> 2
