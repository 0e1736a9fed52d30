"""Which SQL statements may pass: one that reads, from tables of this database, and calls nothing that reaches out.

Two looks. The text must hold one statement, and nothing that ClickHouse's lexer and this one may read differently.
Then ClickHouse itself parses it (``EXPLAIN AST`` runs nothing), and its tree must hold only what is allowed, so that
nobody need guess what it makes of comments and quotes. ``readonly=1`` comes third. It would not do alone: on the
embedded engine it lets pass the function ``file``, the table function ``python``, and several statements at once.
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
_OUT = {"OUTFILE": "INTO OUTFILE writes a file", "INFILE": "INFILE reads a file", "FORMAT": "the format is a field"}
_SETTING = re.compile(r"\s*\w+\s*=")
_QUOTED_NAME = re.compile(r"[^\x00-\x1f/\\:@]*\Z")

#: What a statement may be, as ClickHouse names it.
_HEADS = ("SelectWithUnionQuery", "DescribeQuery", "ShowTables", "ShowCreateTableQuery")
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
    r"(file|python.*|ai[A-Z_].*|AI[A-Z].*|dict.*|sleep.*|catboost.*|modelEvaluate|getClientHTTPHeader|getMacro|"
    r"getServerSetting|getServerPort|showCertificate|filesystem.*|address.*|demangle|trap|logTrace|getOSKernelVersion|"
    r"hostName|fullHostName|FQDN|serverUUID|currentRequestURL|__.*|eval|url|s3.*|remote.*|executable|input|mysql|postgresql|"
    r"hdfs.*|jdbc|odbc|sqlite|mongodb|redis|cluster.*)\Z",
    re.IGNORECASE,
)
#: Tables of ``system`` that say what there is.
SYSTEM_TABLES = frozenset(
    ("one", "numbers", "tables", "columns", "databases", "parts", "parts_columns", "functions", "time_zones", "formats")
)
_IN = re.compile(r"(global)?(not)?(null)?in(ignoreset)?\Z", re.IGNORECASE)
_LINE = re.compile(r"(?P<depth> *)(?P<kind>\w+)(?: (?P<rest>.*?))?(?: \(children \d+\))?\Z")
_TABLE = re.compile(r"(?P<name>\w+(?:\.\w+)?)(?: \(alias .*\))?\Z")


def check_text(text: str) -> None:
    """Raise Refused unless the text is one statement that reads, as far as its words say."""
    if len(text) > MAX_STATEMENT:
        raise _refused("TOO_LARGE", f"a statement has at most {MAX_STATEMENT:,} characters", "RESOURCE_EXHAUSTED")
    verb, previous, depth = "", "", 0
    ended = False
    for token in _TOKEN.finditer(text):
        kind, value = token.lastgroup or "", token[0]
        if kind == "space":
            if "\x00" in value:
                raise _refused("STATEMENT_REFUSED", "the statement holds a zero byte")
            continue
        if ended:
            raise _refused("ONE_STATEMENT", "one statement at a time")
        if not verb:
            verb = value.upper() if kind == "word" else value
            if verb not in _VERBS:
                raise _refused("NOT_A_READ", f"a statement is one of {', '.join(_VERBS)}")
        if kind == "other":
            if value == ";":
                ended = True
                continue
            _check_other(value, text[token.start() : token.start() + 2])
            depth += (value in "([") - (value in ")]")
        elif kind == "name":
            if not _QUOTED_NAME.match(value[1:-1]):
                raise _refused("STATEMENT_REFUSED", "a quoted name holds no path and no control characters")
        elif kind == "parameter" and token["parameter_type"].strip().lower() == "identifier":
            raise _refused("STATEMENT_REFUSED", "parameters are values, not names")
        elif kind == "word" and value.upper() == "SETTINGS" and _SETTING.match(text, token.end()):
            raise _refused("STATEMENT_REFUSED", "settings are not the statement's to change")
        elif kind == "word" and depth == 0 and value.upper() in _OUT and _is_clause(value, previous, text, token.end()):
            raise _refused("STATEMENT_REFUSED", _OUT[value.upper()])
        previous = value.upper()
    if not verb:
        raise _refused("NOT_A_READ", "there is no statement")


def _check_other(value: str, two: str) -> None:
    """Characters that begin what ClickHouse reads in its own way: heredocs, typographic quotes, open comments."""
    if value in "'\"`" or two == "/*":
        raise _refused("STATEMENT_REFUSED", "a quote or a comment is not closed")
    if value == "$" or not value.isascii() or not value.isprintable():
        raise _refused("STATEMENT_REFUSED", f"{value!r} stands outside quotes")
    if value in "{}":
        raise _refused("STATEMENT_REFUSED", "braces are for parameters: {name:Type}")


def _is_clause(word: str, previous: str, text: str, end: int) -> bool:
    """Whether OUTFILE, INFILE or FORMAT is a clause here, not a column or a function."""
    if word.upper() == "OUTFILE":
        return previous == "INTO"
    if word.upper() == "INFILE":
        return previous == "FROM"
    return re.match(r"\s*[A-Za-z_]", text[end:]) is not None and previous not in ("SELECT", ",", "AS", ".", "BY")


@dataclass(slots=True)
class _Node:
    kind: str
    rest: str
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
        if node.kind == "TableExpression":
            for child in node.children:
                _check_table(child)
        elif node.kind == "TableIdentifier":
            _check_name(node.rest, database)
        elif node.kind == "Function":
            _check_function(node, database)
        elif node.kind == "Set":
            raise _refused("STATEMENT_REFUSED", "settings are not the statement's to change")
        elif node.kind in ("InsertQuery", "CreateQuery", "DropQuery", "AlterQuery", "SystemQuery", "ExplainQuery"):
            raise _refused("NOT_A_READ", f"the statement holds a {node.kind}")
    if root.kind.startswith("Show"):
        for child in root.children[:1]:
            if child.kind == "Identifier":
                name = child.rest.lower()
                if name != database.lower() and len(root.children) > (root.kind == "ShowCreateTableQuery"):
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
    for line in tree.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue  # the rest of a name that holds a line break; such a name is refused before
        depth = len(found["depth"])
        node = _Node(found["kind"], found["rest"] or "")
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
