"""Whether a shard dies again and again at one place."""

from __future__ import annotations

import signal
from dataclasses import dataclass

FAILING = 5


@dataclass
class Streak:
    """Deaths in a row at one ``place``: what the shard said it died of, or the signal that ended it.

    The row ends with a death elsewhere, or with a life twice as long as the longest in it (a place that is reached
    after 90 s each time is still the same place), and of a minute at least.
    """

    place: str = ""
    error: str = ""
    count: int = 0
    longest_s: float = 30.0

    @property
    def failing(self) -> bool:
        """Whether that is more than bad luck."""
        return self.count >= FAILING

    def died(self, code: int, error: str, lived_s: float) -> None:
        """It exited with ``code`` (negative: by that signal) after ``lived_s``, having said ``error``."""
        place = error.partition("\n")[0] or _silent(code)
        if place != self.place:
            self.count, self.longest_s = 0, 30.0
        self.place, self.error = place, error or place
        self.count += 1
        self.longest_s = max(self.longest_s, lived_s)

    def lived(self, seconds: float) -> None:
        """It has lived so long."""
        if self.count and seconds > 2 * self.longest_s:
            self.place, self.count, self.longest_s = "", 0, 30.0

    def __str__(self) -> str:
        return f"{self.count} times in a row at {self.place}"


def _silent(code: int) -> str:
    if code >= 0:
        return f"exit code {code}, without a word in its status"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, without a word in its status"
