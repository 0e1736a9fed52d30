"""The kill switch as a deciding stage sees it: what is off right now, readable from inside a long batch.

The runtime's control thread replaces :attr:`Switch.off` as a whole the moment it learns of a kill, while the stage may
be in the middle of a batch; a reader sees the former value or the new one, never half of one. Only live runs have a
hand on the switch: in a replay nothing is off by it, and recorded commands reach the stage as commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mevflow.operators.addresses import address

#: Bytes of an address: an Ethereum account's, a Solana key's.
_ADDRESS_BYTES = (20, 32)


@dataclass(frozen=True, slots=True)
class Off:
    """What no decision may be made about."""

    everything: bool = False
    pools: frozenset[bytes] = frozenset()
    mints: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, scopes: Iterable[str]) -> Off:
        """Scopes as commands name them: ```` (everything), ``pool:ADDRESS``, ``mint:ADDRESS``. Raises ValueError.

        >>> Off.of(["", "pool:0x" + "11" * 20]).everything
        True
        """
        everything = False
        found: dict[str, set[bytes]] = {"pool": set(), "mint": set()}
        for scope in scopes:
            kind, colon, text = scope.partition(":")
            if not scope:
                everything = True
            elif colon and kind in found:
                found[kind].add(_address(text))
            else:
                raise ValueError(f"{scope[:80]!r} is neither empty, pool:ADDRESS nor mint:ADDRESS")
        return cls(everything, frozenset(found["pool"]), frozenset(found["mint"]))

    def __or__(self, other: Off) -> Off:
        return Off(self.everything or other.everything, self.pools | other.pools, self.mints | other.mints)

    def __bool__(self) -> bool:
        return self.everything or bool(self.pools) or bool(self.mints)


def _address(text: str) -> bytes:
    try:
        raw = address(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is no address: {error}") from None
    if len(raw) not in _ADDRESS_BYTES:
        raise ValueError(f"{text[:80]!r} is no address: {len(raw)} bytes")
    return raw


class Switch:
    """One a shard, in the context of each of its stages."""

    __slots__ = ("off",)

    def __init__(self) -> None:
        self.off = Off()
