"""The WebSocket fan-out hub: one process a port, fed by any number of shards, read by browsers and bots.

- ``control``: start it, stop it, ask it how it is (what the runtime and ``mevflow hub`` call).
- ``wire``: what a shard and the hub say to each other over their local socket.
- ``feed``: the shard's end of that socket, which never blocks the stream.
- ``server``: the process itself; ``routes`` what it answers to HTTP and WebSocket requests.
- ``handover``: clients that come through the gateway, socket and all; ``dscp``: how packets are marked.
- ``webtransport``: the same over HTTP/3; ``tickets``: who may come in there; ``certificate``: what it shows.
- ``fanout``: blocks in, frames out; ``client`` one connection; ``frames`` their bytes.
- ``filters``: who wants what; ``groups``: who wants the same.
"""

from mevflow.sinks.websocket.hub.control import HubStatus, hub_status, start_hub, stop_hub

__all__ = ["HubStatus", "hub_status", "start_hub", "stop_hub"]
