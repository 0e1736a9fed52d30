"""Cookie sessions for browsers: a token, handed in once, is kept here behind a cookie that scripts cannot read.

The token is verified anew at every call, so a session ends when its token expires or its key is withdrawn. Every call
that is not a plain read must carry the session's CSRF token in a header, which a page from elsewhere cannot know.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from mevflow.control.refusal import Refused

CSRF_HEADER = "x-csrf-token"
LIFE_S = 8 * 3600.0
_KEPT = 16_384
_OF_EACH = 32


@dataclass(frozen=True, slots=True)
class Session:
    """``name``: whose it is; ``token``: the bearer token that was handed in."""

    name: str
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    ends: float

    def check_csrf(self, given: str) -> None:
        """Raise Refused unless ``given`` is the session's CSRF token."""
        if not hmac.compare_digest(given.encode(), self.csrf.encode()):
            raise Refused(
                "PERMISSION_DENIED",
                "CSRF",
                f"a call with a session's cookie carries {CSRF_HEADER}, as the login gave it",
            )


class CookieSessions:
    """Sessions by cookie value. An identity that has too many loses its own oldest, never someone else's."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._of: dict[str, OrderedDict[str, None]] = {}

    def begin(self, name: str, token: str) -> tuple[str, Session]:
        """A new session of the identity ``name``; gives its cookie value."""
        identifier = secrets.token_urlsafe(32)
        session = Session(name, token, secrets.token_urlsafe(32), time.monotonic() + LIFE_S)
        self._by_id[identifier] = session
        mine = self._of.setdefault(name, OrderedDict())
        mine[identifier] = None
        if len(mine) > _OF_EACH:
            self.end(next(iter(mine)))
        elif len(self._by_id) > _KEPT:
            most = max(self._of.values(), key=len)
            self.end(next(iter(most)))
        return identifier, session

    def get(self, identifier: str) -> Session | None:
        """The session of a cookie, while it lasts."""
        session = self._by_id.get(identifier)
        if session is not None and time.monotonic() >= session.ends:
            self.end(identifier)
            return None
        return session

    def end(self, identifier: str) -> None:
        """Forget a session."""
        session = self._by_id.pop(identifier, None)
        if session is not None:
            mine = self._of[session.name]
            del mine[identifier]
            if not mine:
                del self._of[session.name]
