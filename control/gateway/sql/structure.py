"""Columns as a table function takes them in a text (``values('a UInt8, b String', …)``): names and types alone.

ClickHouse takes more there, which its tree of the statement shows as a text: ``a String ALIAS file('…')`` calls any
function of the engine, once for each row. So a text that may be such a list is judged by what it is, not by what it
is not: each column is a name and one of the types below.
"""

from __future__ import annotations

import re

from mevflow.control.gateway.sql.node import SyntaxNode
from mevflow.control.gateway.sql.statement import refused

#: Table functions whose first argument may say columns.
STRUCTURED = frozenset(("values", "sqlstandardvalues", "null"))
_TYPES = re.compile(
    r"(U?Int(8|16|32|64|128|256)|B?Float(16|32|64)|Decimal(32|64|128|256)?|Bool|(Fixed)?String|Date(32)?|DateTime(64)?"
    r"|Time(64)?|UUID|IPv[46]|Enum(8|16)?|Array|Tuple|Map|Nested|Nullable|LowCardinality|Variant|Dynamic|Nothing)"
)
_LITERAL = re.compile(r"'((?:[^'\\]|\\['nrt])*+)'(?: \(alias .*\))?")
_PART = re.compile(
    r"\s*+(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*+)|(?P<open>\()|(?P<close>\))|(?P<comma>,)|(?P<value>[0-9.]++|'[^']*+'|[=-]))"
)
_ONE_WORD = re.compile(r"[A-Za-z0-9_.-]*")
#: What stands outside parentheses: columns of a name (w) and a type (t) each, which parentheses may follow.
_COLUMNS = re.compile(r"wt(\(\))?(,wt(\(\))?)*")


def check_structure(table: SyntaxNode) -> None:
    """Raise Refused unless the first argument of a table function is written out and computes nothing."""
    arguments = table.children[0].children if table.children else []
    if table.name.lower() not in STRUCTURED or not arguments:
        return
    first = arguments[0]
    if first.kind == "Literal" and not first.rest.startswith("'"):
        return
    if first.kind == "Function" and first.name in ("tuple", "array") and table.name.lower() != "null":
        return
    found = _LITERAL.fullmatch(first.rest) if first.kind == "Literal" else None
    if found is not None:
        text = re.sub(r"\\(.)", lambda each: "'" if each[1] == "'" else " ", found[1])
        if _ONE_WORD.fullmatch(text) or are_columns(text):
            return
    raise refused(
        "STATEMENT_REFUSED",
        f"the first argument of {table.name[:50]} is written out: names and types ('a UInt8, b String'), or a row",
    )


def are_columns(text: str) -> bool:
    """Whether a text is names and types, and nothing else.

    >>> are_columns("a UInt8, b Array(Tuple(x DateTime64(3, 'UTC'), y Enum8('p' = -1)))")
    True
    >>> are_columns("a String ALIAS hostName()"), are_columns("a DEFAULT (hostName())")
    (False, False)
    """
    text, at, depth, outside = text.rstrip(), 0, 0, ""
    if "aggregatefunction" in text.lower():  # a state would be made of what a caller writes
        return False
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return False
        at, kind = part.end(), part.lastgroup
        if kind == "close":
            depth -= 1
        if depth == 0:
            outside += {"open": "(", "close": ")", "comma": ",", "value": "v"}.get(kind or "") or _word(part, outside)
        if kind == "open":
            depth += 1
        if depth < 0:
            return False
    return depth == 0 and _COLUMNS.fullmatch(outside) is not None


def _word(part: re.Match[str], before: str) -> str:
    return "t" if before.endswith("w") and _TYPES.fullmatch(part["word"]) else "w"
