"""Who wants what: a client's filter.

It comes from the query string (``?channels=decisions,swaps&pools=<base58 or 0x hex>``), from a ``Subscribe``
in a binary frame, or from JSON with the same two fields in a text frame. Empty means all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec
from google.protobuf.message import DecodeError

from mevflow.operators.addresses import address
from mevflow.operators.errors import UsageError
from mevflow.v1.realtime_pb2 import Subscribe

MAX_CHANNELS, MAX_POOLS, MAX_POOL_BYTES = 64, 10_000, 64


@dataclass(frozen=True, slots=True)
class Filter:
    """What a client wants; an empty set means all."""

    channels: frozenset[str] = frozenset()
    pools: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, channels: Iterable[str], pools: Iterable[bytes]) -> Filter:
        """Check the bounds. Raises UsageError."""
        made = cls(frozenset(channels), frozenset(pools))
        if len(made.channels) > MAX_CHANNELS:
            raise UsageError(f"more than {MAX_CHANNELS} channels", key="channels")
        if len(made.pools) > MAX_POOLS:
            raise UsageError(f"more than {MAX_POOLS} pools", key="pools")
        if any(not 0 < len(pool) <= MAX_POOL_BYTES for pool in made.pools):
            raise UsageError(f"a pool is 1 to {MAX_POOL_BYTES} bytes", key="pools")
        return made

    @classmethod
    def from_query(cls, query: str) -> Filter:
        """``channels=a,b&pools=x``; both may be repeated. Raises UsageError."""
        try:
            given = parse_qs(query, strict_parsing=bool(query), max_num_fields=MAX_POOLS)
        except ValueError as error:
            raise UsageError(f"the query cannot be read: {error}") from error
        return cls._from_text({key: [v for text in values for v in text.split(",")] for key, values in given.items()})

    @classmethod
    def from_json(cls, text: bytes) -> Filter:
        """``{"channels": […], "pools": […]}``. Raises UsageError."""
        try:
            given = msgspec.json.decode(text, type=dict[str, list[str]])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"not a Subscribe in JSON: {error}") from error
        return cls._from_text(given)

    @classmethod
    def from_protobuf(cls, data: bytes) -> Filter:
        """A serialized ``Subscribe``. Raises UsageError."""
        try:
            given = Subscribe.FromString(data)
        except DecodeError as error:
            raise UsageError("not a serialized Subscribe") from error
        return cls.of(given.channels, given.pools)

    @classmethod
    def _from_text(cls, given: Mapping[str, list[str]]) -> Filter:
        unknown = sorted(given.keys() - {"channels", "pools"})
        if unknown:
            raise UsageError("a filter has channels and pools", key=unknown[0])
        channels = [name for name in given.get("channels", ()) if name]
        return cls.of(channels, [pool_bytes(text) for text in given.get("pools", ()) if text])

    def describe(self) -> dict[str, Any]:
        """For the status page. Pools are counted: a filter may have thousands."""
        return {"channels": sorted(self.channels), "pools": len(self.pools)}


def pool_bytes(text: str) -> bytes:
    """A pool's address as people write it: base58 (Solana) or 0x and hex (EVM). Raises UsageError."""
    try:
        return address(text)
    except ValueError as error:
        raise UsageError(f"{text[:80]!r} is no pool address: base58, or 0x and hex", key="pools") from error
