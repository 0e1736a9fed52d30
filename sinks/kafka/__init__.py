"""``kafka.sink``: rows as protobuf messages on a topic. In the order that a row takes:

- :mod:`.sink`: the sink: keyed, with chain time as timestamp
- :mod:`.producer`: columns in, messages out
- :mod:`.scatter`: the send kernel, compiled
- :mod:`.librdkafka`: librdkafka's producer by ctypes
"""
