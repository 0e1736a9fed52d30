"""The clients of equal filters as one group, so that what they get is built once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from mevflow.sinks.websocket.hub.filters import Filter

Client = TypeVar("Client", bound=Hashable)


class Group(Generic[Client]):
    """The clients of one filter: what they get is built once."""

    __slots__ = ("clients", "filter")

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.clients: set[Client] = set()


class Groups(Generic[Client]):
    """All groups, and which of them wait for which pool."""

    def __init__(self) -> None:
        self._groups: dict[Filter, Group[Client]] = {}
        self._of: dict[Client, Group[Client]] = {}
        self._by_pool: dict[bytes, set[Group[Client]]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, client: Client, wanted: Filter) -> None:
        """Put a client into the group of its filter, and out of the one it was in."""
        self.leave(client)
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = Group(wanted)
            for pool in wanted.pools:
                self._by_pool.setdefault(pool, set()).add(group)
        group.clients.add(client)
        self._of[client] = group

    def leave(self, client: Client) -> None:
        """Take a client out, if it is in; a group ends with its last client."""
        group = self._of.pop(client, None)
        if group is None:
            return
        group.clients.discard(client)
        if group.clients:
            return
        del self._groups[group.filter]
        for pool in group.filter.pools:
            waiting = self._by_pool[pool]
            waiting.discard(group)
            if not waiting:
                del self._by_pool[pool]

    def select(self, channel: str, rows: pa.RecordBatch) -> Iterator[tuple[Group[Client], pa.BinaryArray]]:
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
    ) -> Iterator[tuple[Group[Client], pa.BinaryArray]]:
        values = pools.flatten().dictionary_encode()
        hits: dict[Group[Client], list[int]] = {}
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
