"""What a policy has learned, as bytes: plain arrays with their arms' names, checked before anything is made of them.

A state may come from a stranger by way of a control command, so its sizes are bounded before an array is made.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mevflow.operators.errors import StateError

#: Version of a policy's snapshot. 2: sums without the ridge, arms by name.
SNAPSHOT_VERSION = 2


#: A policy that learned 10^15 rewards would be wrong about its counts: floats hold whole numbers up to 2^53.
MAX_UPDATES = 10**15

#: More arms than this make propensities too thin to learn from.
MAX_ARMS = 64

#: Characters of an arm's name.
MAX_NAME = 64


class Array(msgspec.Struct, frozen=True):
    """A numpy array in a snapshot."""

    dtype: str
    shape: list[int]
    data: bytes


class PolicyState(msgspec.Struct, frozen=True):
    """All that a policy has learned. ``chain`` is the chain that taught it, 0 when it does not matter."""

    version: int
    name: str
    arms: list[str]
    features: int
    updates: int
    arrays: dict[str, Array]
    chain: int = 0


def pack(array: npt.NDArray[Any]) -> Array:
    """An array as snapshots hold it."""
    return Array(array.dtype.str, list(array.shape), array.tobytes())


def decode(state: bytes, name: str) -> PolicyState:
    """A snapshot's content. Raises StateError when it is unreadable, of another version or without measure."""
    try:
        version = msgspec.msgpack.decode(state, type=_Version).version
        if version != SNAPSHOT_VERSION:
            raise StateError(
                f"the snapshot has version {version}, not {SNAPSHOT_VERSION}",
                hint="export the model anew from a shard of this release",
                key=name,
            )
        saved = msgspec.msgpack.decode(state, type=PolicyState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"the policy snapshot is unreadable: {error}", key=name) from None
    if not 0 <= saved.updates <= MAX_UPDATES:
        raise StateError(f"updates is {saved.updates}, not 0 to {MAX_UPDATES}", key=name)
    if not 1 <= len(saved.arms) <= MAX_ARMS or max(map(len, [saved.name, *saved.arms])) > MAX_NAME:
        raise StateError(
            f"the snapshot has {len(saved.arms):,} arms, not 1 to {MAX_ARMS} with names of at most {MAX_NAME} letters",
            key=name,
        )
    return saved


def unpack(saved: PolicyState, label: str, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array ``label`` of a snapshot. Raises StateError unless it has the dtype and shape of ``like``."""
    array = saved.arrays.get(label)
    if array is None:
        raise StateError(f"the snapshot has no array {label}", key=saved.name)
    if array.dtype != like.dtype.str or array.shape != list(like.shape) or len(array.data) != like.nbytes:
        raise StateError(
            f"{label} is {array.dtype[:16]}{array.shape[:8]} in {len(array.data)} bytes, "
            f"not {like.dtype.str}{list(like.shape)}",
            key=saved.name,
        )
    return np.frombuffer(array.data, like.dtype).reshape(like.shape).copy()


class _Version(msgspec.Struct):
    version: int
