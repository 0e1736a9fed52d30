"""Which partition a key belongs to: murmur2, as Kafka's Java client and librdkafka's ``murmur2`` place it."""

from __future__ import annotations

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 of Kafka's ``Utils.murmur2`` (its seed included), unsigned.

    >>> murmur2(b"21") - (1 << 32)  # as KafkaProducer's own tests state it
    -973932308
    """
    size = len(data)
    h = (0x9747B28C ^ size) & _MASK
    for i in range(0, size - size % 4, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    rest = data[size - size % 4 :]
    if rest:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` on a topic with that many."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
