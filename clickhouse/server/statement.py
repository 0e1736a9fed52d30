"""What a statement asks for, as far as the HTTP interface must know: is it an INSERT that data follows, where do its
SETTINGS and FORMAT clauses stand, which format does an answer have. The engine's own parser does the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from mevflow.clickhouse.server.tokens import Cursor, SqlToken, tokens

#: After one of these a word is an operand, a name or an alias, never the start of a clause.
_WANTS_OPERAND = frozenset(
    (
        *("SELECT", "DISTINCT", "AS", "BY", "WHERE", "PREWHERE", "HAVING", "QUALIFY", "AND", "OR", "NOT", "XOR", "IN"),
        *("LIKE", "ILIKE", "BETWEEN", "ON", "USING", "FROM", "JOIN", "CASE", "WHEN", "THEN", "ELSE", "WITH"),
        *("INTERVAL", "DIV", "MOD"),
    )
)
#: Of these, what may be a column's name too: where an operand is wanted, it is one.
_ALSO_NAMES = frozenset(("INTERVAL", "DIV", "MOD", "ON", "USING", "LIKE", "ILIKE", "IN", "IS"))
_SEPARATORS = frozenset(",.=<>!+-*/%|&?:~^")
#: Statements that answer with rows, even with none of them.
_ANSWERS = frozenset(
    (
        *("SELECT", "WITH", "FROM", "VALUES", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"),
        *("KILL", "BACKUP", "RESTORE", "WATCH"),
    )
)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose rows come as data.

    ``head`` is the statement up to its SETTINGS, FORMAT or VALUES clause, ``settings`` the SETTINGS clause (empty:
    none), ``format`` what the data is in, and ``data_at`` where in the text the data starts (the text's length when
    the text is only the statement).
    """

    head: str
    format: str
    data_at: int
    settings: str = ""
    #: Of ``INSERT … SELECT … FROM input('a Int8')``: the structure, and where in ``head`` the call stands.
    structure: str = ""
    input_at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """``verb`` in capitals; ``format`` of the answer when the text names one; ``insert`` for an INSERT with data."""

    verb: str
    format: str | None = None
    insert: Insert | None = None
    format_at: tuple[int, int] = (0, 0)  # where the FORMAT clause stands
    names_file: bool = False  # INTO OUTFILE or FROM INFILE: files on the server's side
    answers: bool = False  # gives a result, maybe one without rows
    several: bool = False  # more than one statement


def parse(text: str) -> Statement:
    """Classify ``text``. It may be cut off in the middle of an INSERT's data.

    >>> parse("INSERT INTO t (a) SETTINGS async_insert = 1 FORMAT CSV\\n1").insert.settings
    'SETTINGS async_insert = 1 '
    >>> parse("select 1 as format format JSON").format
    'JSON'
    """
    cursor = Cursor(tokens(text))
    while cursor.take_other("("):
        pass
    verb = cursor.word()
    if verb == "INSERT":
        return _parse_insert(text, cursor)
    found = list(tokens(text))
    wanted = _answer_format(found)
    writes = any(one.word in ("INSERT", "CREATE") and one.depth == 0 for one in found)
    return Statement(
        verb,
        wanted.name if wanted else None,
        None,
        (wanted.start, wanted.end) if wanted else (0, 0),
        names_file=_names_file(found),
        answers=verb in _ANSWERS and not (writes and verb == "WITH"),
        several=_several(found),
    )


def _parse_insert(text: str, cursor: Cursor) -> Statement:
    """``INSERT INTO name [(columns)] [PARTITION BY …] [SETTINGS …]``, then VALUES, FORMAT or a SELECT."""
    cursor.take("INSERT")
    cursor.take("INTO")
    for keyword in ("TABLE", "FUNCTION"):
        if cursor.word() == keyword and not cursor.next_is_other(".("):
            cursor.skip()
    _skip_name(cursor)
    while cursor.at_other("(") and not _opens_select(cursor):
        cursor.skip_group()
    if cursor.take("PARTITION"):
        while not cursor.ended and cursor.word() not in ("SETTINGS", "VALUES", "FORMAT", "SELECT", "WITH", "FROM"):
            cursor.skip_group()
    clause_at = cursor.start
    settings = ""
    if cursor.take("SETTINGS"):
        _skip_settings(cursor)
        settings = text[clause_at : cursor.start]
    head = text[:clause_at]
    word = cursor.word()
    if word == "FORMAT":
        cursor.skip()
        name = cursor.current
        if name is None:
            return Statement("INSERT", insert=Insert(text, "Values", len(text)))
        return Statement("INSERT", insert=Insert(head, name.text, _skip_to_data(text, name.end), settings))
    if word == "VALUES":
        end = cursor.current.end if cursor.current else len(text)
        return Statement("INSERT", insert=Insert(head, "Values", end, settings))
    if word or cursor.at_other("("):
        return _parse_select(text, cursor)
    return Statement("INSERT", insert=Insert(head, "Values", len(text), settings))


def _parse_select(text: str, cursor: Cursor) -> Statement:
    """The rest of an ``INSERT … SELECT``: with data when it reads ``input(structure)``."""
    rest = list(cursor)
    wants = _wants_operand(rest)
    for at, token in enumerate(rest):
        if token.word != "INPUT" or at + 3 >= len(rest) or not rest[at + 1].is_other("("):
            continue
        literal, closing = rest[at + 2], rest[at + 3]
        if literal.kind != "quoted" or not closing.is_other(")"):
            continue
        for behind, (token, name) in enumerate(pairwise(rest[at + 4 :]), at + 4):
            if token.depth or token.word != "FORMAT" or name.kind != "word" or wants[behind - 1]:
                continue
            structure = re.sub(r"\\(.)", r"\1", literal.text[1:-1])
            span = (rest[at].start, closing.end)
            data_at = _skip_to_data(text, name.end)
            insert = Insert(text[: token.start], name.text, data_at, "", structure, span)
            return Statement("INSERT", insert=insert)
        break  # no FORMAT follows a later one either
    found = list(tokens(text))
    return Statement("INSERT", names_file=_names_file(found), several=_several(found))


def _skip_name(cursor: Cursor) -> None:
    """``db.table``, in quotes or not, ``{name:Identifier}``, or a table function with its arguments."""
    while True:
        if cursor.at_other("{"):
            cursor.skip_group()
        elif not cursor.ended:
            cursor.skip()
        if not cursor.take_other("."):
            return


def _opens_select(cursor: Cursor) -> bool:
    inner = cursor.peek(1)
    after = cursor.peek(2)
    if inner is not None and inner.is_other("("):
        return True
    return inner is not None and inner.word in ("SELECT", "WITH", "FROM") and not (after and after.is_other(",)"))


def _skip_settings(cursor: Cursor) -> None:
    """``name = value, name, …``: each value is one literal."""
    while not cursor.ended:
        cursor.skip()
        while cursor.take_other("."):
            cursor.skip()
        if cursor.take_other("="):
            while cursor.take_other("-") or cursor.take_other("+"):
                pass
            if cursor.at_other("([{"):
                cursor.skip_group()
            else:
                cursor.skip()
        if not cursor.take_other(","):
            return


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    start: int
    end: int


def _answer_format(found: list[SqlToken]) -> _Format | None:
    """What the FORMAT clause says, the last but SETTINGS; FORMAT elsewhere is a name or an alias."""
    wanted = None
    wants = _wants_operand(found)
    for at in range(1, len(found) - 1):
        token, name = found[at : at + 2]
        if token.depth or token.word != "FORMAT" or name.kind != "word" or wants[at - 1]:
            continue
        after = found[at + 2] if at + 2 < len(found) else None
        if after is None or after.is_other(";") or after.word in ("SETTINGS", "INTO", "PARALLEL"):
            wanted = _Format(name.text, token.start, name.end)
    return wanted


def _wants_operand(found: list[SqlToken]) -> list[bool]:
    """Of each token, whether an operand must follow it: then FORMAT behind it is a name."""
    wants: list[bool] = []
    for token in found:
        is_name = bool(wants) and wants[-1] and token.word in _ALSO_NAMES
        opens = token.word in _WANTS_OPERAND or (token.kind == "other" and token.text in _SEPARATORS)
        wants.append(opens and not is_name)
    return wants


def _names_file(found: list[SqlToken]) -> bool:
    """``INTO OUTFILE 'path'`` or ``FROM INFILE 'path'`` anywhere."""
    return any(
        (first.word, second.word) in (("INTO", "OUTFILE"), ("FROM", "INFILE")) and third.kind == "quoted"
        for (first, second), third in zip(pairwise(found), found[2:], strict=False)
    )


def _several(found: list[SqlToken]) -> bool:
    """Whether anything but semicolons follows a semicolon."""
    ended = False
    for token in found:
        if token.is_other(";"):
            ended = True
        elif ended:
            return True
    return False


def _skip_to_data(text: str, at: int) -> int:
    """Blanks after the format's name, and one line break, do not belong to the data."""
    while at < len(text) and text[at] in " \t\f":
        at += 1
    if at < len(text) and text[at] == "\r":
        at += 1
    return at + 1 if at < len(text) and text[at] == "\n" else at


def by_query_id(text: str, name_of: str) -> str:
    """``text`` of a KILL QUERY with ``name_of`` (an expression) where it says ``query_id``."""
    return _replaced(text, ((token, token, name_of) for token in _query_ids(text)))


def with_query_ids(text: str, name_of: str) -> str:
    """``text`` with ``system.processes`` replaced by itself with ``name_of`` as its ``query_id``."""
    rows = f"(SELECT * REPLACE ({name_of} AS query_id) FROM system.processes)"
    found = list(tokens(text))
    places = (
        (first, third, rows)
        for before, first, second, third in zip(found, found[1:], found[2:], found[3:], strict=False)
        if (first.name, second.text, third.name) == ("system", ".", "processes") and before.word in ("FROM", "JOIN")
    )
    return _replaced(text, places)


def _query_ids(text: str) -> Iterator[SqlToken]:
    before: SqlToken | None = None
    for token in tokens(text):
        if token.name == "query_id" and not (before is not None and before.is_other(".")):
            yield token
        before = token


def _replaced(text: str, places: Iterator[tuple[SqlToken, SqlToken, str]]) -> str:
    pieces, at = [], 0
    for first, last, new in places:
        pieces += [text[at : first.start], new]
        at = last.end
    return "".join([*pieces, text[at:]])
