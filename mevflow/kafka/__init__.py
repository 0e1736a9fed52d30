"""Kafka itself: below sources and sinks, which read and write it.

- :mod:`.librdkafka`: the C library that reads and writes records, by ctypes
- :mod:`.broker`, :mod:`.broker_files`: the embedded broker as a background process, and what it needs on disk
- :mod:`.topics`: topics, their offsets and lag, by kafka-python's admin client
- :mod:`.partitioner`: which partition a key belongs to
"""
