"""Where batches go.

- :mod:`.sink`: the contract of a sink
- :mod:`.clickhouse`, :mod:`.kafka`, :mod:`.websocket`: the three destinations
- :mod:`.dlq`: messages that could not be processed, kept on a topic
- :mod:`.discard`: keeps nothing
"""
