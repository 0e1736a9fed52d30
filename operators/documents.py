"""YAML from files and callers, bounded in bytes, depth and what its aliases stand for before anything is made of it.

The parser itself takes time by the square of the depth of brackets, and a few hundred bytes of aliases stand for more
than fits into memory; both are looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from mevflow.operators.errors import UsageError


@dataclass(frozen=True, slots=True)
class DocumentBounds:
    """``nodes`` are counted with every alias replaced by what it stands for."""

    size: int = 8 << 20
    depth: int = 32
    nodes: int = 1_000_000


def read_yaml(
    text: str, *, file: str, kind: Literal["rt", "safe"] = "safe", bounds: DocumentBounds | None = None
) -> Any:
    """One document. ``rt`` keeps lines and comments. Raises UsageError, which names ``file`` and quotes nothing."""
    bounds = bounds or DocumentBounds()
    if len(text) > bounds.size:
        raise UsageError(f"has {len(text):,} characters; at most {bounds.size:,}", file=file)
    if _brackets(text) > bounds.depth:
        raise UsageError(f"is nested more than {bounds.depth} levels deep", file=file)
    try:
        constructor, parser = YAML(typ=kind, pure=True).get_constructor_parser(text)
        try:
            root = constructor.composer.get_single_node()
            if root is None:
                return None
            _check(root, bounds, file)
            return constructor.construct_document(root)
        finally:
            parser.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise UsageError(f"not YAML: {_said(error)}", file=file, line=mark.line + 1 if mark else None) from None
    except (YAMLError, ValueError, TypeError, ArithmeticError, RecursionError, AttributeError):
        raise UsageError("not YAML: a value that YAML does not know, or nested too deep", file=file) from None


def _said(error: MarkedYAMLError) -> str:
    """What is wrong, without what stands there."""
    return str(error.problem or error.context or "it cannot be read").partition("\n")[0][:100]


def _brackets(text: str) -> int:
    """The deepest nesting of brackets, wherever they stand: at least that of flow collections."""
    depth = deepest = 0
    for sign in text:
        if sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth = max(0, depth - 1)
    return deepest


def _check(root: Node, bounds: DocumentBounds, file: str) -> None:
    """Raise UsageError when the document is too deep or too large with its aliases replaced, or holds itself."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: Node, depth: int) -> int:
        if depth > bounds.depth:
            raise UsageError(f"is nested more than {bounds.depth} levels deep", file=file)
        key = id(node)
        if key in open_:
            raise UsageError("an alias stands for what it is in", file=file, line=node.start_mark.line + 1)
        if key in sizes:
            return sizes[key]
        open_.add(key)
        total = 1
        if isinstance(node, SequenceNode):
            total += sum(size(each, depth + 1) for each in node.value)
        elif isinstance(node, MappingNode):
            total += sum(size(name, depth + 1) + size(each, depth + 1) for name, each in node.value)
        open_.discard(key)
        if total > bounds.nodes:
            raise UsageError(f"stands for more than {bounds.nodes:,} values", file=file)
        sizes[key] = total
        return total

    size(root, 1)
