"""Page-Hinkley: has the mean of a stream of numbers moved? (Page 1954; river's PageHinkley gives the same alarms.)"""

from __future__ import annotations

import math

import msgspec

#: Older deviations fade by this factor a number.
_FADE = 1.0 - 0.0001

#: No alarm before so many numbers.
_WARM_UP = 30


class PageHinkley(msgspec.Struct):
    """State of one detector; it is plain data, so a snapshot holds it as it is. It starts over after an alarm."""

    seen: int = 0
    mean: float = 0.0
    up: float = 0.0
    down: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def update(self, value: float, threshold: float, delta: float = 0.005) -> bool:
        """Take a number; True when the mean has risen or fallen: by more than ``delta`` for long enough."""
        self.seen += 1
        self.mean += (value - self.mean) / self.seen
        deviation = value - self.mean
        self.up = _FADE * self.up + deviation - delta
        self.down = _FADE * self.down + deviation + delta
        self.lowest = min(self.lowest, self.up)
        self.highest = max(self.highest, self.down)
        if self.seen < _WARM_UP or max(self.up - self.lowest, self.highest - self.down) <= threshold:
            return False
        self.seen, self.mean, self.up, self.down = 0, 0.0, 0.0, 0.0
        self.lowest, self.highest = math.inf, -math.inf
        return True
