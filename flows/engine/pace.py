"""How fast counters grow: samples of the last seconds, and the rates between the oldest and the newest."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

Counters = Mapping[str, Mapping[str, float]]


class Pace:
    """Of counters by owner and name that only grow, over about ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._samples: deque[tuple[float, dict[str, dict[str, float]]]] = deque()

    def sample(self, now: float, counters: Counters) -> None:
        """Note how the counters stand at ``now``, in monotonic seconds."""
        self._samples.append((now, {owner: dict(each) for owner, each in list(counters.items())}))
        while self._samples[-1][0] - self._samples[0][0] > self._seconds and len(self._samples) > 2:
            self._samples.popleft()

    def rates(self) -> dict[str, dict[str, float]]:
        """By owner and name, how much a second; a counter that is new began at zero. Empty before two samples."""
        if len(self._samples) < 2:
            return {}
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        seconds = max(ended - began, 1e-9)
        return {
            owner: {
                name: round((value - before.get(owner, {}).get(name, 0.0)) / seconds, 3) for name, value in each.items()
            }
            for owner, each in after.items()
        }
