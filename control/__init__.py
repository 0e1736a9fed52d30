"""The control plane: a service that publishes commands, collects every shard's answer, and tells what came of them.

Read in this order:

- :mod:`.methods`, :mod:`.refusal`: which calls there are, why one is refused
- :mod:`.commands`: a command from its draft to its outcome
- :mod:`.topics`: the Kafka topics behind it: what the service reads and writes
- :mod:`.server`: the service and its gRPC door
- :mod:`.auth`: who may call
- :mod:`.gateway`: the same calls over HTTP/JSON and WebSocket
- :mod:`.client`: a typed client
"""
