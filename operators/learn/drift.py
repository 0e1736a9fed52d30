"""Has the market moved? Page-Hinkley over standardised residuals: rewards less what the policy expected of them.

The mean of raw rewards moves whenever the policy learns; residuals of a policy that is right about a stationary market
have mean 0 however it goes on learning. They are divided by their spread, so one threshold serves rewards of any kind.
The detector is Page's test (1954) as river's PageHinkley computes it, which gives the same alarms.
"""

from __future__ import annotations

import math

import msgspec

#: Older deviations fade by this factor a number.
_FADE = 1.0 - 0.0001

#: No alarm before so many numbers.
_WARM_UP = 30

#: What a residual may stray from 0 for free, and its bound, in spreads.
_ALLOWED, _BOUND = 0.15, 4.0

#: The spread that residuals have at least, as a part of the rewards' size: rewards that never vary have none of their
#: own, and a move that is small beside them is no matter.
_LEAST_SPREAD = 0.25

#: Residuals of 0 that the detector imagines to have seen: its mean begins there and is slow to leave.
_IMAGINED = 500

#: The spread is that of about so many residuals.
_MEMORY = 2_000


class PageHinkley(msgspec.Struct):
    """State of one detector; it is plain data, so a snapshot holds it as it is. It starts over after an alarm."""

    seen: int = 0
    mean: float = 0.0
    up: float = 0.0
    down: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def update(self, value: float, threshold: float, delta: float = 0.005, fade: float = _FADE) -> bool:
        """Take a number; True when the mean has risen or fallen: by more than ``delta`` for long enough."""
        self.seen += 1
        self.mean += (value - self.mean) / self.seen
        deviation = value - self.mean
        self.up = fade * self.up + deviation - delta
        self.down = fade * self.down + deviation + delta
        self.lowest = min(self.lowest, self.up)
        self.highest = max(self.highest, self.down)
        if self.seen < _WARM_UP or max(self.up - self.lowest, self.highest - self.down) <= threshold:
            return False
        self.seen, self.mean, self.up, self.down = 0, 0.0, 0.0, 0.0
        self.lowest, self.highest = math.inf, -math.inf
        return True


class ResidualDrift(msgspec.Struct):
    """Page-Hinkley over residuals, with their running spread. Thresholds are in spreads.

    With the threshold of 40: more than 50,000 residuals to a false alarm on stationary rewards, and less than 300
    from the moment when bids that won in 60 % of cases win in 30 % (``tests/operators/learn/test_drift.py``).
    """

    seen: int = 0
    square: float = 0.0
    size: float = 0.0  # mean square of rewards
    page: PageHinkley = msgspec.field(default_factory=lambda: PageHinkley(_IMAGINED))

    def update(self, reward: float, expected: float, threshold: float) -> bool:
        """Take a reward and what was expected of it when it was bid for; True when the market has moved."""
        residual = reward - expected
        self.seen = min(self.seen + 1, _MEMORY)
        self.square += (residual * residual - self.square) / self.seen
        self.size += (reward * reward - self.size) / self.seen
        spread = max(math.sqrt(self.square), _LEAST_SPREAD * math.sqrt(self.size))
        if self.seen < _WARM_UP or spread == 0.0:
            return False
        # Without fading: it would pull the sums back as fast as the allowance lets them fall, and cry for nothing.
        moved = self.page.update(min(max(residual / spread, -_BOUND), _BOUND), threshold, _ALLOWED, fade=1.0)
        if moved:
            self.page = PageHinkley(_IMAGINED)
        return moved
