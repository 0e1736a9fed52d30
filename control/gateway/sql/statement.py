"""The text of a statement that may pass: one that reads, without what ClickHouse's lexer may read otherwise.

This is the first of two looks; the second (:mod:`mevflow.control.gateway.sql.tree`) is at what ClickHouse itself makes
of the statement. For that ClickHouse is sent ``EXPLAIN AST`` and the text, so the text must be one statement and must
not hold clauses that would be EXPLAIN's own: FORMAT, SETTINGS, INTO OUTFILE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mevflow.control.refusal import Refused

MAX_STATEMENT = 64 << 10
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.)*+')
      | (?P<name>"(?:[^"\\]|\\.)*+"|`(?:[^`\\]|\\.)*+`)
      | (?P<open>['"`]|/\*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<parameter>\{\s*+(?P<parameter_name>[A-Za-z_]\w*+)\s*+:\s*+(?P<parameter_type>[A-Za-z0-9_(),'\s/]++)\})
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


def check_text(text: str) -> None:
    """Raise Refused unless the text is one statement that reads, as far as its words say."""
    if len(text) > MAX_STATEMENT:
        raise refused("TOO_LARGE", f"a statement has at most {MAX_STATEMENT:,} characters", "RESOURCE_EXHAUSTED")
    if "\x00" in text:
        raise refused("STATEMENT_REFUSED", "the statement holds a zero byte")
    tokens = list(_tokens(text))
    if not tokens:
        raise refused("NOT_A_READ", "there is no statement")
    words = [token[0].upper() for token in tokens]
    if words[0] not in _VERBS:
        raise refused("NOT_A_READ", f"a statement is one of {', '.join(_VERBS)}")
    if ";" in words[:-1]:
        raise refused("ONE_STATEMENT", "one statement at a time")
    if words[0] == "SHOW" and not _SHOW.match(" ".join(_shape(token) for token in tokens)):
        raise refused("STATEMENT_REFUSED", "shown are TABLES, which may be LIKE something, and CREATE TABLE")
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        _check_token(token, words[at - 1] if at else "", following)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """All but comments and spaces, in a time that grows as the text does: nothing is looked at after an open quote."""
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "open":
            raise refused("STATEMENT_REFUSED", "a quote or a comment is not closed")
        if token.lastgroup != "space":
            yield token


def _shape(token: re.Match[str]) -> str:
    """A word as it is, texts as ``'``: for patterns over a whole statement."""
    return "'" if token.lastgroup == "text" else token[0].upper()


def _check_token(token: re.Match[str], before: str, following: re.Match[str] | None) -> None:
    """Look at one token, between the word before it and the token after; comments and spaces do not count."""
    kind, value = token.lastgroup, token[0]
    if kind == "other":
        _check_other(value)
    elif kind == "name" and not _QUOTED_NAME.match(value[1:-1]):
        raise refused("STATEMENT_REFUSED", "a quoted name holds no path and no control characters")
    elif kind == "parameter" and token["parameter_type"].strip().lower() == "identifier":
        raise refused("STATEMENT_REFUSED", "parameters are values, not names")
    elif kind == "parameter" and "function" in token["parameter_type"].lower():
        raise refused("STATEMENT_REFUSED", "states of aggregate functions are not taken from callers")
    elif kind == "word":
        word, named = value.upper(), following is not None and following.lastgroup in ("word", "name")
        if (word, before) in (("OUTFILE", "INTO"), ("INFILE", "FROM")):
            raise refused("STATEMENT_REFUSED", f"{word} is a file")
        if word == "FORMAT" and named and before not in _EXPRESSION_FOLLOWS:
            raise refused("STATEMENT_REFUSED", "the format is not the statement's to choose")
        ends = following is not None and following[0].upper() in _CLAUSES
        if word == "SETTINGS" and named and not ends and before not in _EXPRESSION_FOLLOWS:
            raise refused("STATEMENT_REFUSED", "settings are not the statement's to change")


def _check_other(value: str) -> None:
    """Characters that begin what ClickHouse reads in its own way: heredocs, typographic quotes."""
    if value in "$\\" or not value.isascii() or not value.isprintable():
        raise refused("STATEMENT_REFUSED", f"{value!r} stands outside quotes")
    if value in "{}":
        raise refused("STATEMENT_REFUSED", "braces are for parameters: {name:Type}")


def refused(reason: str, message: str, code: str = "PERMISSION_DENIED") -> Refused:
    return Refused(code, reason, message)
