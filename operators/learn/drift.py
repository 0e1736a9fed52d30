"""Has the market moved? Page-Hinkley over standardised residuals: rewards less what the policy expected of them.

The mean of raw rewards moves whenever the policy learns; residuals of a policy that is right about a stationary market
have mean 0 however it goes on learning. They are divided by their spread, so one threshold serves rewards of any kind.
The detector is Page's test (1954) as river's PageHinkley computes it, which gives the same alarms.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numba
import numpy as np

from mevflow.operators.learn.kernels import Floats

_jit: Any = numba.njit(cache=True, nogil=True)

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
        state = self.as_array()
        moved: bool = _page(state, value, threshold, delta, fade)
        if moved:
            self.seen, self.mean, self.up, self.down = 0, 0.0, 0.0, 0.0
            self.lowest, self.highest = math.inf, -math.inf
        else:
            self.take(state)
        return moved

    def as_array(self) -> Floats:
        """The fields in their order."""
        return np.array(msgspec.structs.astuple(self))

    def take(self, state: Floats) -> None:
        """Set the fields from :meth:`as_array`."""
        seen, self.mean, self.up, self.down, self.lowest, self.highest = state.tolist()
        self.seen = int(seen)


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
        return self.first(np.array([reward]), np.array([expected]), threshold) == 0

    def first(self, rewards: Floats, expected: Floats, threshold: float) -> int:
        """Take rewards and what was expected of each, up to the first that says that the market has moved.

        Gives its place; -1: none does, and all were taken.
        """
        moments, page = np.array([self.seen, self.square, self.size]), self.page.as_array()
        at: int = _watch(moments, page, rewards, expected, threshold)
        seen, self.square, self.size = moments.tolist()
        self.seen = int(seen)
        if at < 0:
            self.page.take(page)
        else:
            self.page = PageHinkley(_IMAGINED)
        return at


@_jit
def _page(page: Floats, value: float, threshold: float, delta: float, fade: float) -> bool:
    """One number into the fields of a :class:`PageHinkley`; whether the mean has moved."""
    page[0] += 1.0
    page[1] += (value - page[1]) / page[0]
    deviation = value - page[1]
    page[2] = fade * page[2] + deviation - delta
    page[3] = fade * page[3] + deviation + delta
    page[4] = min(page[4], page[2])
    page[5] = max(page[5], page[3])
    return not (page[0] < _WARM_UP or max(page[2] - page[4], page[5] - page[3]) <= threshold)


@_jit
def _watch(moments: Floats, page: Floats, rewards: Floats, expected: Floats, threshold: float) -> int:
    """The first reward at which the market has moved, or -1. ``moments``: seen, square and size."""
    for i in range(rewards.shape[0]):
        residual = rewards[i] - expected[i]
        moments[0] = min(moments[0] + 1.0, _MEMORY)
        moments[1] += (residual * residual - moments[1]) / moments[0]
        moments[2] += (rewards[i] * rewards[i] - moments[2]) / moments[0]
        spread = max(math.sqrt(moments[1]), _LEAST_SPREAD * math.sqrt(moments[2]))
        if moments[0] < _WARM_UP or spread == 0.0:
            continue
        # Without fading: it would pull the sums back as fast as the allowance lets them fall, and cry for nothing.
        if _page(page, min(max(residual / spread, -_BOUND), _BOUND), threshold, _ALLOWED, 1.0):
            return i
    return -1
