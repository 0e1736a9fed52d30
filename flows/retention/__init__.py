"""How long tables and topics keep what they hold, as the configuration says; nothing is bounded that it does not name.

- :mod:`.tables`: ClickHouse tables, in days of chain time
- :mod:`.topics`: Kafka topics, in MiB of a partition
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetentionChange:
    """``kind`` is ``table`` or ``topic``; ``effect`` says what would be gone."""

    kind: str
    name: str
    now: str
    wanted: str
    effect: str = ""
