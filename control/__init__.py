"""The control plane's room: the gRPC service, the ack collector, auth, audit, the policy store and the gateway.

What it will speak to stands already: ``ControlCommand``, ``ControlAck`` and ``Heartbeat`` (``proto``), the topics
``control-commands`` (compacted) and ``control-acks``, ``Stage.on_control`` with APPLIED, REJECTED, STALE and DUPLICATE,
and the ``acks`` topology that keeps every answer in ClickHouse.
"""
