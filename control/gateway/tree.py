"""ClickHouse's own tree of a statement (``EXPLAIN AST``, which runs nothing): only what is known may stand in it.

Nobody need guess what the engine makes of comments and quotes. What the tree does not show in full (``APPLY``, the
condition of ``SHOW``) may not stand in a statement. ``readonly=1`` comes after this. It would not do alone: on the
embedded engine it lets pass the function ``file``, the table function ``python``, and several statements at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mevflow.control.gateway.statement import refused

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
#: Functions that read files, reach out, wait, run things, or tell about the server what callers need not know.
FUNCTIONS = re.compile(
    r"(file|python.*|ai[A-Z_].*|AI[A-Z].*|dict.*|joinGet.*|hasColumnInTable|sleep.*|catboost.*|modelEvaluate|"
    r"getClientHTTPHeader|getMacro|getServerSetting|getServerPort|tcpPort|showCertificate|filesystem.*|address.*|"
    r"demangle|trap|logTrace|getOSKernelVersion|hostName|fullHostName|FQDN|displayName|serverUUID|buildId|"
    r"zookeeper.*|currentRequestURL|__.*|eval|url|s3.*|remote.*|executable|input|mysql|postgresql|hdfs.*|jdbc|odbc|"
    r"sqlite|mongodb|redis|cluster.*)\Z",
    re.IGNORECASE,
)
#: Tables of ``system`` that say what there is.
SYSTEM_TABLES = frozenset(
    ("one", "numbers", "tables", "columns", "databases", "parts", "parts_columns", "functions", "time_zones", "formats")
)
_IN = re.compile(r"(global)?(not)?(null)?in(ignoreset)?\Z", re.IGNORECASE)
_LINE = re.compile(
    r"(?P<depth> *)(?P<kind>[\w:]+)(?: (?!\(children \d+\)\Z)(?P<rest>.*?))?(?: \(children (?P<children>\d+)\))?\Z"
)
_TABLE = re.compile(r"(?P<name>\w+(?:\.\w+)?)(?: \(alias .*\))?\Z")


@dataclass(slots=True)
class _Node:
    kind: str
    rest: str
    expected: int
    children: list[_Node] = field(default_factory=list)

    def walk(self) -> Iterator[_Node]:
        """This and everything below."""
        left = [self]
        while left:
            node = left.pop()
            yield node
            left += node.children


def check_tree(tree: str, database: str) -> None:
    """Raise Refused unless ClickHouse's tree of the statement (``EXPLAIN AST``) holds only what is allowed."""
    root = _parse(tree)
    if root.kind not in _HEADS:
        raise refused("NOT_A_READ", f"a statement of the kind {root.kind} may not pass")
    for node in root.walk():
        if node.kind not in _KINDS:
            raise refused("STATEMENT_REFUSED", f"a statement may not hold a {node.kind[:50]}")
        if len(node.children) != node.expected:
            raise refused("STATEMENT_REFUSED", "a name in the statement looks like a part of it")
        if node.kind == "TableExpression":
            for child in node.children:
                _check_table(child)
        elif node.kind == "TableIdentifier":
            _check_name(node.rest, database)
        elif node.kind == "Function":
            _check_function(node, database)
        elif node.kind == "Identifier" and node.rest.lower().startswith("system."):
            _check_name(".".join(node.rest.partition(" ")[0].split(".")[:2]), database)
    if root.kind == "ShowTables" and root.children:
        raise refused("TABLE_REFUSED", f"the database is {database}")
    if root.kind == "ShowCreateTableQuery" and len(root.children) > 1:
        name = root.children[0].rest.lower()
        if name != database.lower():
            raise refused("TABLE_REFUSED", f"the database is {database}")


def _check_table(node: _Node) -> None:
    if node.kind == "Function":
        name = node.rest.partition(" ")[0]
        if name.lower() not in TABLE_FUNCTIONS:
            raise refused("FUNCTION_REFUSED", f"the table function {name[:50]} may not be called")


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


def _check_function(node: _Node, database: str) -> None:
    name = node.rest.partition(" ")[0]
    if FUNCTIONS.match(name):
        raise refused("FUNCTION_REFUSED", f"the function {name[:50]} may not be called")
    if _IN.match(name) and node.children and len(node.children[0].children) > 1:
        right = node.children[0].children[1]
        # A bare name to the right of IN is a table.
        if right.kind == "Identifier":
            _check_name(right.rest, database)


def _parse(tree: str) -> _Node:
    """The tree from its indented lines. Raises Refused when it does not look like one."""
    path: list[tuple[int, _Node]] = []
    root: _Node | None = None
    for line in tree.rstrip("\n").split("\n"):
        found = _LINE.match(line)
        if found is None:
            raise refused("STATEMENT_REFUSED", "a name in the statement holds a line break")
        depth = len(found["depth"])
        node = _Node(found["kind"], found["rest"] or "", int(found["children"] or 0))
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
