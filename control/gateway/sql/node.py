"""One node of ClickHouse's tree of a statement, as ``EXPLAIN AST`` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class SyntaxNode:
    """``rest``: what stands after the kind, without the count of children; ``expected``: that count."""

    kind: str
    rest: str
    expected: int
    children: list[SyntaxNode] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of a function, an identifier or a table."""
        return self.rest.partition(" ")[0]

    @property
    def alias(self) -> str:
        """The name that the statement gives it, or nothing."""
        _, there, rest = self.rest.rpartition("(alias ")
        return rest.removesuffix(")") if there else ""

    def walk(self) -> Iterator[SyntaxNode]:
        """This and everything below, as it stands in the text."""
        left = [self]
        while left:
            node = left.pop()
            yield node
            left += reversed(node.children)
