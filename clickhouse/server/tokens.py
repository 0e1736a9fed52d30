"""The words, literals and signs of a SQL text, with where they stand: as much of ClickHouse's lexer as is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^'\\]|\\.|'')*+' | "(?:[^"\\]|\\.)*+" | `(?:[^`\\]|\\.)*+`)
      | (?P<open>['"`].*|/\*.*)
      | (?P<heredoc>\$[A-Za-z0-9_]*+\$)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9](?:[0-9A-Za-z_.]|(?<=[eEpP])[-+])*)
      | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
#: What begins and ends a heredoc; the dollar that ends one tag may begin the next.
_TAG = re.compile(r"(?=(\$[A-Za-z0-9_]*+\$))")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class SqlToken:
    """One token: ``kind`` is word, quoted, number or other; ``depth`` counts the brackets around it.

    A quote or a comment that nothing closes is one token of the kind open, to the text's end.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        """A bare word in capitals, empty for anything else."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """What the token names, bare or in the quotes of an identifier; empty for anything else."""
        if self.kind == "quoted" and self.text[0] in '`"':
            return self.text[1:-1]
        return self.text if self.kind == "word" else ""

    def is_other(self, signs: str) -> bool:
        """Whether the token is one of ``signs``."""
        return self.kind == "other" and self.text in signs


def tokens(text: str) -> Iterator[SqlToken]:
    """Everything but blanks and comments, in a time that grows as the text does."""
    depth = at = 0
    last: dict[str, int] | None = None
    while found := _TOKEN.match(text, at):
        kind, start, at = found.lastgroup or "other", found.start(), found.end()
        if kind == "space":
            continue
        if kind == "heredoc":
            # Where each tag stands last: none is looked for that nothing closes.
            last = {each[1]: each.start() for each in _TAG.finditer(text)} if last is None else last
            closed = last[found[0]] >= at
            kind, at = ("quoted", text.index(found[0], at) + len(found[0])) if closed else ("other", start + 1)
        value = text[start:at]
        sign = value if kind == "other" else ""
        if sign and sign in _CLOSING:
            depth -= 1
        yield SqlToken(kind, value, start, at, depth)
        if sign and sign in _OPENING:
            depth += 1


class Cursor:
    """Reads tokens one by one, with a look ahead; what follows the last token read is never looked at."""

    def __init__(self, found: Iterator[SqlToken]) -> None:
        self._found = found
        self._ahead: list[SqlToken] = []
        self._end = 0

    def peek(self, count: int = 0) -> SqlToken | None:
        """The token ``count`` after the current one; None past the end."""
        while len(self._ahead) <= count:
            token = next(self._found, None)
            if token is None:
                return None
            self._ahead.append(token)
        return self._ahead[count]

    @property
    def current(self) -> SqlToken | None:
        return self.peek()

    @property
    def ended(self) -> bool:
        return self.peek() is None

    @property
    def start(self) -> int:
        """Where the current token starts; past the end, where the last one ended."""
        token = self.peek()
        return self._end if token is None else token.start

    def word(self) -> str:
        """The current token's word in capitals."""
        token = self.peek()
        return "" if token is None else token.word

    def skip(self) -> None:
        """Go on by one token."""
        token = self.peek()
        if token is not None:
            self._end = token.end
            del self._ahead[0]

    def skip_group(self) -> None:
        """Go past the current token; past all that it encloses when it is a bracket."""
        opening = self.peek()
        self.skip()
        if opening is None or not opening.is_other(_OPENING):
            return
        while (token := self.peek()) is not None:
            self.skip()
            if token.depth <= opening.depth and token.is_other(_CLOSING):
                return

    def take(self, word: str) -> bool:
        """Go past ``word`` when it is the current token."""
        if self.word() != word:
            return False
        self.skip()
        return True

    def at_other(self, signs: str) -> bool:
        token = self.peek()
        return token is not None and token.is_other(signs)

    def next_is_other(self, signs: str) -> bool:
        """Whether the token after the current one is one of ``signs``, or there is none."""
        token = self.peek(1)
        return token is None or token.is_other(signs)

    def take_other(self, signs: str) -> bool:
        if not self.at_other(signs):
            return False
        self.skip()
        return True

    def __iter__(self) -> Iterator[SqlToken]:
        while (token := self.peek()) is not None:
            self.skip()
            yield token
