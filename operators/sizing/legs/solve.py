"""Where a rising function of an amount is zero."""

from __future__ import annotations

import math
from collections.abc import Callable

#: No amount is larger than a u128.
_MOST = 2.0**128
_LEAST = 2.0**-20
_ROUNDS = 200
_TOLERANCE = 1e-13


def rising_root(function: Callable[[float], float], guess: float) -> float:
    """The amount up to which ``function``, which never falls, is not above zero; 0.0 when it is above at once.

    ``function`` may jump, and be inf from some amount on. Brackets the root by tens from ``guess``, then takes secant
    steps, each second one halved at the least (Illinois): about ten calls where the function is nearly straight.
    """
    low, high = 0.0, min(max(guess, _LEAST), _MOST)
    at_low = function(low)
    if at_low >= 0.0:
        return 0.0
    at_high = function(high)
    while at_high < 0.0:
        if high >= _MOST:
            return high
        low, at_low = high, at_high
        # Nearly straight: aim a little beyond where the line meets zero, by tens at most.
        high = min(high * 10.0, _MOST)
        at_high = function(high)
    return _between(function, low, at_low, high, at_high)


def _between(function: Callable[[float], float], low: float, at_low: float, high: float, at_high: float) -> float:
    side, width = 0, high - low
    for number in range(_ROUNDS):
        if high - low <= _TOLERANCE * high or at_high == 0.0:
            break
        middle = (low + high) / 2.0
        if at_high < math.inf and not (number % 4 == 3 and high - low > width / 4.0):
            secant = low - at_low * (high - low) / (at_high - at_low)
            if low < secant < high:
                middle = secant
        elif low > 0.0 and high > 4.0 * low:
            middle = math.sqrt(low * high)
        if number % 4 == 3:
            width = high - low
        value = function(middle)
        if value < 0.0:
            low, at_low = middle, value
            if side == -1:
                at_high /= 2.0
            side = -1
        else:
            high, at_high = middle, value
            if side == 1:
                at_low /= 2.0
            side = 1
            if value == 0.0:
                return middle
    return high if at_high == 0.0 else low
