"""Live readers.

- :mod:`.sink`: ``websocket.sink``: the shard's end, which never waits for a reader
- :mod:`.hub`: the fan-out process that serves WebSocket clients
"""
