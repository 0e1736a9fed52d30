"""How large a statement is once its names are replaced by what they stand for.

ClickHouse does that before it runs anything, and neither its time limit nor KILL QUERY reaches it there: twenty common
table expressions that each name the one before twice are a million subqueries. So the size is reckoned here, from
above: a name counts as what it stands for, and a table's name as the heaviest WITH query before it.
"""

from __future__ import annotations

from mevflow.control.gateway.sql.node import SyntaxNode
from mevflow.control.gateway.sql.statement import refused
from mevflow.control.refusal import Refused

#: Nodes of the tree as it is written, and with names replaced.
MAX_NODES = 10_000
MAX_EXPANDED = 50_000


def check_size(root: SyntaxNode) -> None:
    """Raise Refused (STATEMENT_TOO_LARGE) for a statement that becomes too large."""
    weight = _Weights(list(root.walk())).of(root)
    if weight > MAX_EXPANDED:
        raise too_large(f"has more than {MAX_EXPANDED:,} parts once its aliases and WITH queries are replaced")


class _Weights:
    """Each counts up to MAX_EXPANDED and a bit: beyond, the number does not matter."""

    def __init__(self, nodes: list[SyntaxNode]) -> None:
        self._known: dict[int, int] = {}
        self._open: set[int] = set()
        self._named: dict[str, list[SyntaxNode]] = {}
        for node in nodes:
            if node.alias and node.kind not in ("TableIdentifier", "Identifier"):
                self._named.setdefault(node.alias, []).append(node)
        self._heaviest = 0  # of the WITH queries so far: the tree does not print their names

    def of(self, node: SyntaxNode) -> int:
        """One more than what is below it and what it names."""
        key = id(node)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            return 1  # it names itself: an error of its own, or recursion, which is bounded by number
        self._open.add(key)
        weight = 1 + sum(self.of(child) for child in node.children)
        if node.kind in ("Identifier", "Function"):
            weight += max((self.of(each) for each in self._named.get(node.name, ())), default=0)
        elif node.kind == "TableIdentifier" and "." not in node.name:
            weight += self._heaviest
        self._open.discard(key)
        weight = self._known[key] = min(weight, MAX_EXPANDED + 1)
        if node.kind == "WithElement":
            self._heaviest = max(self._heaviest, weight)
        return weight


def too_large(why: str) -> Refused:
    """What a statement of too many parts is answered."""
    return refused("STATEMENT_TOO_LARGE", f"the statement {why}", "RESOURCE_EXHAUSTED")
