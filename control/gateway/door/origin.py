"""Which web pages may call: the gateway's own, and those of configured origins.

A browser sends requests to loopback for any page that asks it to. Without authentication nothing else would stop such a
page, so a host name that is not loopback's is refused too (a page may point its own name at 127.0.0.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from mevflow.control.refusal import Refused
from mevflow.processes.addresses import is_loopback


class Origins:
    """``allowed``: origins (``https://desk.example.org``) besides the gateway's own."""

    def __init__(self, allowed: tuple[str, ...], *, authenticates: bool) -> None:
        self._allowed, self._authenticates = frozenset(allowed), authenticates

    def check(self, headers: Mapping[str, str], scheme: str) -> None:
        """Raise Refused for a request that a page from elsewhere made."""
        host = headers.get("host", "")
        if not self._authenticates and not is_loopback(_name(host)):
            raise _refused(f"without authentication the host is 127.0.0.1 or localhost, not {host[:100]!r}")
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                raise _refused("pages of other sites may not call")
            return
        own = f"{'https' if scheme in ('https', 'wss') else 'http'}://{host}"
        if origin != own and origin not in self._allowed:
            raise _refused(f"pages of {origin[:100]!r} may not call; MEVFLOW_CONTROL__ORIGINS says which may")


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _refused(message: str) -> Refused:
    return Refused("PERMISSION_DENIED", "ORIGIN", message)
