"""Thompson sampling over the last rewards alone (Trovo, Paladino, Restelli and Gatti 2020, for normal posteriors)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Floats, Ints
from mevflow.operators.learn.policy import bounded
from mevflow.operators.learn.state import PolicyState, decode, pack, unpack
from mevflow.operators.learn.thompson import GaussianThompson


class WindowThompson(GaussianThompson):
    """:class:`~mevflow.operators.learn.thompson.GaussianThompson` of the last ``window`` rewards.

    ``recent`` is a ring of rewards and ``taken`` of their arms, -1 where there was none yet. A reward is one arm's: a
    new arm that is to begin with another's lessons begins with nothing while that one stays.
    """

    name: ClassVar[str] = "tip-thompson-window"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        "noise": (0.25, 1e-3, 10.0),
        "window": (200.0, 10.0, 100_000.0),
    }
    state_names: ClassVar[tuple[str, ...]] = ("pulls", "sums", "recent", "taken", "next")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        size = int(self.option["window"])
        self.recent = np.zeros(size)
        self.taken = np.full(size, -1, np.int64)
        self.next = np.zeros(1, np.int64)

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        at = int(self.next[0])
        for arm, reward in zip(arms.tolist(), rewards.tolist(), strict=True):
            self.taken[at], self.recent[at] = arm, reward
            at = (at + 1) % len(self.recent)
        self.next[0] = at
        self.refresh()

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        age = self.updates - learned_at
        at = (int(self.next[0]) - 1 - age) % len(self.recent)
        if not 0 <= age < len(self.recent) or self.taken[at] != arm:
            return False
        self.recent[at] = now
        self.refresh()
        return True

    def restore(self, state: bytes, warm: Mapping[str, str] | None = None) -> None:
        saved = decode(state, self.name)
        held = len(saved.arrays["recent"].data) // 8 if "recent" in saved.arrays else 0
        if saved.name == self.name and 0 < held <= self.options["window"][2] and held != len(self.recent):
            state = msgspec.msgpack.encode(self._resized(saved, held))
        super().restore(state, warm)

    def _resized(self, saved: PolicyState, held: int) -> PolicyState:
        """A snapshot of a ring of ``held`` rewards as one of this window: its last ones."""
        recent, taken = unpack(saved, "recent", np.zeros(held)), unpack(saved, "taken", np.zeros(held, np.int64))
        at, size = int(unpack(saved, "next", np.zeros(1, np.int64))[0]), len(self.recent)
        # From the oldest to the newest, which stays where corrections look for it: before ``next``.
        order = (at % held + np.arange(held))[-size:] % held
        rewards, arms = np.zeros(size), np.full(size, -1, np.int64)
        rewards[: len(order)], arms[: len(order)] = recent[order], taken[order]
        arrays = {"recent": pack(rewards), "taken": pack(arms), "next": pack(np.array([len(order) % size]))}
        return msgspec.structs.replace(saved, arrays={**saved.arrays, **arrays})

    def renumber(self, places: dict[int, int]) -> None:
        self.taken = np.array([places.get(arm, -1) for arm in self.taken.tolist()], np.int64)

    def refresh(self) -> None:
        """Pulls and sums from the ring: counted anew, so that nothing is added and taken away again."""
        held = self.taken >= 0
        self.pulls = np.bincount(self.taken[held], minlength=self.arms).astype(np.float64)
        self.sums = np.bincount(self.taken[held], self.recent[held], minlength=self.arms).astype(np.float64)

    def check(self) -> None:
        super().check()
        bounded(self, "recent", -1.0, 1.0)
        bounded(self, "taken", -1, self.arms - 1)
        bounded(self, "next", 0, len(self.recent) - 1)
        if int((self.taken >= 0).sum()) > self.updates:
            raise StateError("the ring holds more rewards than were learned", key=self.name)
