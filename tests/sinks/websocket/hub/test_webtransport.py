"""How many strangers there may be at once: connections that have shown no ticket."""

import asyncio

from mevflow.processes.addresses import free_port
from mevflow.sinks.websocket.hub import webtransport
from tests.sinks.websocket.hub.visitor import visit


async def test_there_are_never_more_strangers_than_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(webtransport, "MAX_STRANGERS", 2)
    monkeypatch.setattr(webtransport, "HANDSHAKE_S", 3600)
    port, seen = free_port(), set()
    door = webtransport.WebTransport("127.0.0.1", port, lambda filter: None)
    received = webtransport._Server.datagram_received

    def noted(self, data, addr):
        received(self, data, addr)
        seen.add(door.strangers)

    monkeypatch.setattr(webtransport._Server, "datagram_received", noted)
    await door.listen(tmp_path / "tickets")

    async def comes(entered, leaves):
        async with visit(port):
            entered.set()
            await leaves.wait()

    doors = [(asyncio.Event(), asyncio.Event()) for _ in range(4)]
    guests = [asyncio.create_task(comes(*each)) for each in doors]
    try:
        async with asyncio.timeout(120):
            while sum(entered.is_set() for entered, _ in doors) < 2:
                await asyncio.sleep(0.01)
            # The others ask again and again, and are let in one for each that goes.
            for place in range(4):
                while place >= 2 and sum(entered.is_set() for entered, _ in doors) <= place:
                    _, leaves = next(each for each in doors if each[0].is_set() and not each[1].is_set())
                    leaves.set()
                    before = sum(entered.is_set() for entered, _ in doors)
                    while sum(entered.is_set() for entered, _ in doors) == before:
                        await asyncio.sleep(0.01)
        assert max(seen) == 2
    finally:
        for _, leaves in doors:
            leaves.set()
        await asyncio.gather(*guests)
        door.close()
