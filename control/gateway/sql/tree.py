"""ClickHouse's own tree of a statement (``EXPLAIN AST``, which runs nothing): only what is known may stand in it.

Nobody need guess what the engine makes of comments and quotes. What the tree does not show in full (``APPLY``, the
condition of ``SHOW``) may not stand in a statement. ``readonly=1`` comes after this. It would not do alone: on the
embedded engine it lets pass the function ``file``, the table function ``python``, and several statements at once.
"""

from __future__ import annotations

import re
from collections.abc import Set

from mevflow.control.gateway.sql.expansion import MAX_NODES, check_size, too_large
from mevflow.control.gateway.sql.functions import allowed
from mevflow.control.gateway.sql.node import SyntaxNode
from mevflow.control.gateway.sql.statement import refused
from mevflow.control.gateway.sql.structure import check_structure

#: What a statement may be, as ClickHouse names it.
_HEADS = ("SelectWithUnionQuery", "DescribeQuery", "ShowTables", "ShowCreateTableQuery")
#: What may stand in one. Not here, because the tree hides what they hold: ``APPLY`` (the name of a function, or a
#: lambda), and settings, which are no business of a statement's.
_KINDS = frozenset(
    (
        *_HEADS,
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "ExpressionList",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "ArrayJoin",
        "SampleRatio",
        "Subquery",
        "WithElement",
        "Function",
        "Identifier",
        "Literal",
        "Asterisk",
        "QualifiedAsterisk",
        "ColumnsRegexpMatcher",
        "ColumnsListMatcher",
        "ColumnsTransformerList",
        "ColumnsExceptTransformer",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement",
        "OrderByElement",
        "InterpolateElement",
        "WindowListElement",
        "WindowDefinition",
    )
)
#: Table functions that make rows out of nothing, or of tables that are looked at themselves.
TABLE_FUNCTIONS = frozenset(
    (
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "primes",
        "generateseries",
        "generate_series",
        "values",
        "sqlstandardvalues",
        "null",
    )
)
#: Tables of ``system`` that say what there is.
SYSTEM_TABLES = frozenset(
    ("one", "numbers", "tables", "columns", "databases", "parts", "parts_columns", "functions", "time_zones", "formats")
)
_CAST = re.compile(r"_?(accurate)?cast(or(null|default))?\Z", re.IGNORECASE)
_STATE = re.compile("aggregatefunction", re.IGNORECASE)
_IN = re.compile(r"(global)?(not)?(null)?in(ignoreset)?\Z", re.IGNORECASE)
_LINE = re.compile(
    r"(?P<depth> *)(?P<kind>[\w:]+)(?: (?!\(children \d+\)\Z)(?P<rest>.*?))?(?: \(children (?P<children>\d+)\))?\Z"
)
#: Levels of a tree; each query inside another takes some five.
_MAX_DEPTH = 250
_TABLE = re.compile(r"(?P<name>\w+(?:\.\w+)?)(?: \(alias .*\))?\Z")


def check_tree(tree: str, database: str, functions: Set[str]) -> None:
    """Raise Refused unless ClickHouse's tree of the statement (``EXPLAIN AST``) holds only what is allowed.

    ``functions``: every function that this ClickHouse has, in lower case.
    """
    root = _parse(tree)
    if root.kind not in _HEADS:
        raise refused("NOT_A_READ", f"a statement of the kind {root.kind} may not pass")
    tables: list[SyntaxNode] = []
    lambdas: set[str] = set()
    for node in root.walk():
        if node.kind not in _KINDS:
            raise refused("STATEMENT_REFUSED", f"a statement may not hold a {node.kind[:50]}")
        if len(node.children) != node.expected:
            raise refused("STATEMENT_REFUSED", "a name in the statement looks like a part of it")
        if node.kind == "TableExpression":
            tables += [child for child in node.children if child.kind == "Function"]
        elif node.kind == "Function" and node.name == "lambda" and node.alias:
            lambdas.add(node.alias)
    for node in tables:
        _check_table(node)
    of_tables = {id(node) for node in tables}
    for node in root.walk():
        if node.kind == "TableIdentifier":
            _check_name(node.rest, database)
        elif node.kind == "Function" and id(node) not in of_tables:
            _check_function(node, database, functions, lambdas)
        elif node.kind == "Identifier":
            _check_identifier(node, database, functions)
    if root.kind == "ShowTables" and root.children:
        raise refused("TABLE_REFUSED", f"the database is {database}")
    if root.kind == "ShowCreateTableQuery" and len(root.children) > 1:
        name = root.children[0].rest.lower()
        if name != database.lower():
            raise refused("TABLE_REFUSED", f"the database is {database}")
    check_size(root)


def _check_table(node: SyntaxNode) -> None:
    if node.name.lower() not in TABLE_FUNCTIONS:
        raise refused("FUNCTION_REFUSED", f"the table function {node.name[:50]} may not be called")
    check_structure(node)


def _check_identifier(node: SyntaxNode, database: str, functions: Set[str]) -> None:
    """A function may be named without parentheses wherever an expression stands: ``arrayMap(file, [...])``.

    Whether the engine takes such a name for a column depends on the scope, so one that is a function's is refused.
    """
    name = node.name.lower()
    if name.startswith("system."):
        _check_name(".".join(name.split(".")[:2]), database)
    if name in functions and not allowed(name):
        raise refused("FUNCTION_REFUSED", f"{node.name[:50]} is a function's name; a column of that name needs another")


def _check_name(rest: str, database: str) -> None:
    found = _TABLE.match(rest)
    if found is None:
        raise refused("TABLE_REFUSED", "a table's name is letters, digits and underscores, after at most one dot")
    base, dot, table = found["name"].rpartition(".")
    if not dot or base.lower() == database.lower() or base.lower() == "information_schema":
        return
    if base.lower() == "system" and table.lower() in SYSTEM_TABLES:
        return
    raise refused("TABLE_REFUSED", f"tables are those of {database}, and a few of system; not {found['name'][:100]}")


def _check_function(node: SyntaxNode, database: str, functions: Set[str], lambdas: Set[str]) -> None:
    name = node.name
    if not allowed(name) and (name not in lambdas or name.lower() in functions):
        raise refused("FUNCTION_REFUSED", f"the function {name[:50]} may not be called")
    arguments = node.children[0].children if node.children else []
    if _CAST.match(name) and len(arguments) > 1 and _STATE.search(arguments[1].rest):
        raise refused("FUNCTION_REFUSED", "states of aggregate functions are not taken from callers")
    if _CAST.match(name) and len(arguments) > 1 and arguments[1].kind != "Literal":
        raise refused("FUNCTION_REFUSED", f"the type in {name} is written out")
    if _IN.match(name) and len(arguments) > 1:
        right = arguments[1]
        # A bare name to the right of IN is a table.
        if right.kind == "Identifier":
            _check_name(right.rest, database)


def _parse(tree: str) -> SyntaxNode:
    """The tree from its indented lines. Raises Refused when it does not look like one."""
    path: list[tuple[int, SyntaxNode]] = []
    root: SyntaxNode | None = None
    lines = tree.rstrip("\n").split("\n")
    if len(lines) > MAX_NODES:
        raise too_large(f"has {len(lines):,} parts; at most {MAX_NODES:,}")
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            raise refused("STATEMENT_REFUSED", "a name in the statement holds a line break")
        depth = len(found["depth"])
        if depth > _MAX_DEPTH:
            raise refused("STATEMENT_REFUSED", f"a statement is at most {_MAX_DEPTH} levels deep", "RESOURCE_EXHAUSTED")
        node = SyntaxNode(found["kind"], found["rest"] or "", int(found["children"] or 0))
        while path and path[-1][0] >= depth:
            path.pop()
        if path:
            path[-1][1].children.append(node)
        elif root is None:
            root = node
        else:
            raise refused("ONE_STATEMENT", "one statement at a time")
        path.append((depth, node))
    if root is None:
        raise refused("NOT_A_READ", "there is no statement")
    return root
