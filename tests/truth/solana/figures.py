"""What came of swaps that a program and the product both did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ProgramFigures:
    """How often program and product were held against each other; none may differ."""

    executed: int = 0
    refused: int = 0
    different: list[str] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)

    def refuse(self, why: str) -> None:
        """Count a swap that both refuse, by what the program says of it."""
        self.refused += 1
        self.refusals[why] = self.refusals.get(why, 0) + 1
