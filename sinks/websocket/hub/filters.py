"""Who wants what: a client's filter, and the clients of equal filters as one group.

A filter comes from the query string (``?channels=decisions,swaps&pools=<base58 or 0x hex>``), from a ``Subscribe``
in a binary frame, or from JSON with the same two fields in a text frame. Empty means all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import base58
import msgspec
import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError

from mevflow.operators.errors import UsageError
from mevflow.v1.realtime_pb2 import Subscribe

if TYPE_CHECKING:
    from mevflow.sinks.websocket.hub.client import Client

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
        if len(text) > 2 * MAX_POOL_BYTES + 2:
            raise ValueError("too long")
        if text[:2] in ("0x", "0X"):
            return bytes.fromhex(text[2:])
        return base58.b58decode(text)
    except ValueError as error:
        raise UsageError(f"{text[:80]!r} is no pool address: base58, or 0x and hex", key="pools") from error


class Group:
    """The clients of one filter: what they get is built once."""

    __slots__ = ("clients", "filter")

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.clients: set[Client] = set()


class Groups:
    """All groups, and which of them wait for which pool."""

    def __init__(self) -> None:
        self._groups: dict[Filter, Group] = {}
        self._by_pool: dict[bytes, set[Group]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, client: Client, wanted: Filter) -> Group:
        """Put a client into the group of its filter."""
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = Group(wanted)
            for pool in wanted.pools:
                self._by_pool.setdefault(pool, set()).add(group)
        group.clients.add(client)
        return group

    def leave(self, client: Client, group: Group) -> None:
        """Take a client out; a group ends with its last client."""
        group.clients.discard(client)
        if group.clients or self._groups.get(group.filter) is not group:
            return
        del self._groups[group.filter]
        for pool in group.filter.pools:
            waiting = self._by_pool[pool]
            waiting.discard(group)
            if not waiting:
                del self._by_pool[pool]

    def select(self, channel: str, rows: pa.RecordBatch) -> Iterator[tuple[Group, pa.BinaryArray]]:
        """What each group gets of ``rows`` (``wire.SCHEMA``), in order; groups that get nothing are left out.

        A group's part is gathered when it is asked for, so that only one is in memory (and in cache) at a time.
        """
        frames, pools = rows.columns
        everything = [
            group
            for group in self._groups.values()
            if not group.filter.pools and (not group.filter.channels or channel in group.filter.channels)
        ]
        yield from ((group, frames) for group in everything)
        if self._by_pool:
            yield from self._select_by_pool(channel, frames, pools)

    def _select_by_pool(
        self, channel: str, frames: pa.BinaryArray, pools: pa.ListArray
    ) -> Iterator[tuple[Group, pa.BinaryArray]]:
        values = pools.flatten().dictionary_encode()
        hits: dict[Group, list[int]] = {}
        for code, pool in enumerate(values.dictionary.to_pylist()):
            for group in self._by_pool.get(pool, ()):
                if not group.filter.channels or channel in group.filter.channels:
                    hits.setdefault(group, []).append(code)
        if not hits:
            return
        # Rows by pool: those of code c are order[start[c]:start[c + 1]].
        codes = values.indices.to_numpy()
        parents = np.repeat(np.arange(len(pools), dtype=np.int32), np.diff(pools.offsets.to_numpy()))
        order = parents[np.argsort(codes, kind="stable")]
        start = np.concatenate(([0], np.bincount(codes, minlength=len(values.dictionary)).cumsum()))
        wanted = np.zeros(len(frames), bool)
        for group, chosen in hits.items():
            # A mask, because a message with two pools of the filter is sent once, and in its place.
            for code in chosen:
                wanted[order[start[code] : start[code + 1]]] = True
            at = np.flatnonzero(wanted)
            wanted[at] = False
            yield group, frames if len(at) == len(frames) else frames.take(pa.array(at))
