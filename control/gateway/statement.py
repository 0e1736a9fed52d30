"""Which SQL statements may pass: one that reads, from tables of this database, and calls nothing that reaches out.

Two looks. The text must hold one statement, and nothing that ClickHouse's lexer and this one may read differently.
Then ClickHouse itself parses it (``EXPLAIN AST`` runs nothing), and its tree must hold only what is allowed, so that
nobody need guess what it makes of comments and quotes. What the tree does not show in full (``APPLY``, the condition
of ``SHOW``) may not stand in a statement. ``readonly=1`` comes third. It would not do alone: on the embedded engine
it lets pass the function ``file``, the table function ``python``, and several statements at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from control.refusal import Refused

MAX_STATEMENT = 64 << 10
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<name>"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<parameter>\{\s*(?P<parameter_name>[A-Za-z_]\w*)\s*:\s*(?P<parameter_type>[A-Za-z0-9_(),'\s/]+)\})
      | (?P<number>[0-9][0-9A-Za-z_]*)
      | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VERBS = ("SELECT", "WITH", "DESCRIBE", "DESC", "SHOW")
_SHOW = re.compile(r"SHOW (TABLES( (NOT )?I?LIKE ')?|CREATE\b.*)( ;)?\Z", re.DOTALL)
#: A column may be called FORMAT or SETTINGS: after these a word begins an expression, before those it ends one.
_EXPRESSION_FOLLOWS = frozenset(("SELECT", "DISTINCT", ",", "(", "AS", ".", "BY"))
_CLAUSES = frozenset(("FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "AS", "DESC", "ASC", "AND", "OR", "IN", "IS", "LIKE"))
_QUOTED_NAME = re.compile(r"[^\x00-\x1f/\\:@]*\Z")

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
_FUNCTIONS = re.compile(
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


def check_text(text: str) -> None:
    """Raise Refused unless the text is one statement that reads, as far as its words say."""
    if len(text) > MAX_STATEMENT:
        raise _refused("TOO_LARGE", f"a statement has at most {MAX_STATEMENT:,} characters", "RESOURCE_EXHAUSTED")
    if "\x00" in text:
        raise _refused("STATEMENT_REFUSED", "the statement holds a zero byte")
    tokens = [token for token in _TOKEN.finditer(text) if token.lastgroup != "space"]
    if not tokens:
        raise _refused("NOT_A_READ", "there is no statement")
    words = [token[0].upper() for token in tokens]
    if words[0] not in _VERBS:
        raise _refused("NOT_A_READ", f"a statement is one of {', '.join(_VERBS)}")
    if ";" in words[:-1]:
        raise _refused("ONE_STATEMENT", "one statement at a time")
    if words[0] == "SHOW" and not _SHOW.match(" ".join(_shape(token) for token in tokens)):
        raise _refused("STATEMENT_REFUSED", "shown are TABLES, which may be LIKE something, and CREATE TABLE")
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        _check_token(token, words[at - 1] if at else "", following, text)


def _shape(token: re.Match[str]) -> str:
    """A word as it is, texts as ``'``: for patterns over a whole statement."""
    return "'" if token.lastgroup == "text" else token[0].upper()


def _check_token(token: re.Match[str], before: str, following: re.Match[str] | None, text: str) -> None:
    """Look at one token, between the word before it and the token after; comments and spaces do not count."""
    kind, value = token.lastgroup, token[0]
    if kind == "other":
        _check_other(value, text[token.start() : token.start() + 2])
    elif kind == "name" and not _QUOTED_NAME.match(value[1:-1]):
        raise _refused("STATEMENT_REFUSED", "a quoted name holds no path and no control characters")
    elif kind == "parameter" and token["parameter_type"].strip().lower() == "identifier":
        raise _refused("STATEMENT_REFUSED", "parameters are values, not names")
    elif kind == "word":
        word, named = value.upper(), following is not None and following.lastgroup in ("word", "name")
        if (word, before) in (("OUTFILE", "INTO"), ("INFILE", "FROM")):
            raise _refused("STATEMENT_REFUSED", f"{word} is a file")
        if word == "FORMAT" and named and before not in _EXPRESSION_FOLLOWS:
            raise _refused("STATEMENT_REFUSED", "the format is not the statement's to choose")
        ends = following is not None and following[0].upper() in _CLAUSES
        if word == "SETTINGS" and named and not ends and before not in _EXPRESSION_FOLLOWS:
            raise _refused("STATEMENT_REFUSED", "settings are not the statement's to change")


def _check_other(value: str, two: str) -> None:
    """Characters that begin what ClickHouse reads in its own way: heredocs, typographic quotes, open comments."""
    if value in "'\"`" or two == "/*":
        raise _refused("STATEMENT_REFUSED", "a quote or a comment is not closed")
    if value in "$\\" or not value.isascii() or not value.isprintable():
        raise _refused("STATEMENT_REFUSED", f"{value!r} stands outside quotes")
    if value in "{}":
        raise _refused("STATEMENT_REFUSED", "braces are for parameters: {name:Type}")


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
        raise _refused("NOT_A_READ", f"a statement of the kind {root.kind} may not pass")
    for node in root.walk():
        if node.kind not in _KINDS:
            raise _refused("STATEMENT_REFUSED", f"a statement may not hold a {node.kind[:50]}")
        if len(node.children) != node.expected:
            raise _refused("STATEMENT_REFUSED", "a name in the statement looks like a part of it")
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
        raise _refused("TABLE_REFUSED", f"the database is {database}")
    if root.kind == "ShowCreateTableQuery" and len(root.children) > 1:
        name = root.children[0].rest.lower()
        if name != database.lower():
            raise _refused("TABLE_REFUSED", f"the database is {database}")


def _check_table(node: _Node) -> None:
    if node.kind == "Function":
        name = node.rest.partition(" ")[0]
        if name.lower() not in TABLE_FUNCTIONS:
            raise _refused("FUNCTION_REFUSED", f"the table function {name[:50]} may not be called")


def _check_name(rest: str, database: str) -> None:
    found = _TABLE.match(rest)
    if found is None:
        raise _refused("TABLE_REFUSED", "a table's name is letters, digits and underscores, after at most one dot")
    base, dot, table = found["name"].rpartition(".")
    if not dot or base.lower() == database.lower() or base.lower() == "information_schema":
        return
    if base.lower() == "system" and table.lower() in SYSTEM_TABLES:
        return
    raise _refused("TABLE_REFUSED", f"tables are those of {database}, and a few of system; not {found['name'][:100]}")


def _check_function(node: _Node, database: str) -> None:
    name = node.rest.partition(" ")[0]
    if _FUNCTIONS.match(name):
        raise _refused("FUNCTION_REFUSED", f"the function {name[:50]} may not be called")
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
            raise _refused("STATEMENT_REFUSED", "a name in the statement holds a line break")
        depth = len(found["depth"])
        node = _Node(found["kind"], found["rest"] or "", int(found["children"] or 0))
        while path and path[-1][0] >= depth:
            path.pop()
        if path:
            path[-1][1].children.append(node)
        elif root is None:
            root = node
        else:
            raise _refused("ONE_STATEMENT", "one statement at a time")
        path.append((depth, node))
    if root is None:
        raise _refused("NOT_A_READ", "there is no statement")
    return root


def _refused(reason: str, message: str, code: str = "PERMISSION_DENIED") -> Refused:
    return Refused(code, reason, message)
