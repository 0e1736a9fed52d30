"""What a statement asks for, as far as the HTTP interface must know: is it an INSERT that data follows, which format
does it name. The engine's own parser does the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_INPUT = re.compile(r"\binput\s*\(\s*'((?:[^'\\]|\\.)*)'\s*\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose rows come as data.

    ``head`` is the statement without its FORMAT clause, ``format`` what the data is in, and ``data_at`` where
    in the text the data starts (the text's length when the text is only the statement).
    """

    head: str
    format: str
    data_at: int
    #: Of ``INSERT … SELECT … FROM input('a Int8')``: the structure, and where in ``head`` the call stands.
    structure: str = ""
    input_at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """``verb`` in capitals; ``format`` of the answer when the text names one; ``insert`` for an INSERT with data."""

    verb: str
    format: str | None = None
    insert: Insert | None = None
    names_file: bool = False  # INTO OUTFILE or FROM INFILE: files on the server's side


def words(text: str) -> Iterator[tuple[str, int, int]]:
    """Bare words outside quotes, comments and parentheses, in capitals, with start and end."""
    depth = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "word" and depth == 0:
            yield token[0].upper(), token.start(), token.end()
        elif kind == "other":
            depth += (token[0] == "(") - (token[0] == ")")


def parse(text: str) -> Statement:
    """Classify ``text``. It may be cut off in the middle of an INSERT's data.

    >>> parse("INSERT INTO t (a) FORMAT CSV\\n1").insert
    Insert(head='INSERT INTO t (a) ', format='CSV', data_at=29, structure='', input_at=(0, 0))
    >>> parse("select 1 format JSON").format
    'JSON'
    """
    found = words(text)
    verb = next(found, ("", 0, 0))[0]
    if verb == "INSERT":
        return _parse_insert(text, found)
    names_file = False
    format_name: str | None = None
    previous = ""
    for word, start, end in found:
        if word == "OUTFILE" and previous == "INTO":
            names_file = True
        if previous == "FORMAT":
            format_name = text[start:end]
        previous = word
    return Statement(verb, format_name, None, names_file)


def _parse_insert(text: str, found: Iterator[tuple[str, int, int]]) -> Statement:
    previous, clause = "", 0
    table_named = False
    for word, start, end in found:
        if previous == "FORMAT":
            head = text[:clause]
            return Statement("INSERT", insert=Insert(head, text[start:end], _skip_to_data(text, end)))
        if word == "VALUES":
            return Statement("INSERT", insert=Insert(text[:start], "Values", end))
        if table_named and word in ("SELECT", "WITH"):
            return _parse_input(text, found)
        if word == "INFILE":
            return Statement("INSERT", names_file=True)
        table_named = table_named or previous in ("INTO", "TABLE", "FUNCTION")
        previous, clause = word, start
    return Statement("INSERT", insert=Insert(text, "Values", len(text)))


def _parse_input(text: str, found: Iterator[tuple[str, int, int]]) -> Statement:
    """An INSERT … SELECT: with data when it reads ``input(structure)``."""
    call = _INPUT.search(text)
    previous = (" ", 0, 0)
    for word in found:
        if previous[0] == "FORMAT" and call is not None and call.end() <= previous[1]:
            head = text[: previous[1]]
            structure = re.sub(r"\\(.)", r"\1", call[1])
            insert = Insert(head, text[word[1] : word[2]], _skip_to_data(text, word[2]), structure, call.span())
            return Statement("INSERT", insert=insert)
        previous = word
    return Statement("INSERT")


def _skip_to_data(text: str, at: int) -> int:
    """Blanks after the format's name, and one line break, do not belong to the data."""
    while at < len(text) and text[at] in " \t\r":
        at += 1
    return at + 1 if at < len(text) and text[at] == "\n" else at
