"""Who may use the server: a password when one is set, and never a web page that a browser happens to show."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from mevflow.clickhouse.server.errors import ACCESS_DENIED, AUTHENTICATION_FAILED, REQUIRED_PASSWORD, refuse
from mevflow.processes.addresses import is_loopback

USER = "default"


class Access:
    """Checks requests against one user, ``default``, and its password (empty: none needed)."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()

    def check(self, headers: Headers, params: Mapping[str, str]) -> str:
        """The user's name. Raises ServerError (401 or 403)."""
        user, password = _credentials(headers, params)
        if not self._password and not password and user == USER:
            return user
        if self._password and not password:
            raise refuse(REQUIRED_PASSWORD, f"{user}: a password is required")
        if user != USER or not hmac.compare_digest(password.encode(), self._password):
            raise refuse(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return user

    def refuse_web_pages(self, headers: Headers) -> None:
        """A page from elsewhere can send requests to loopback; without a password nothing else would stop it.

        Raises ServerError (403). To be asked before anything else of a request is looked at.
        """
        if any(site.lower() in ("cross-site", "same-site") for site in headers.getlist("Sec-Fetch-Site")):
            raise refuse(ACCESS_DENIED, "requests from other sites' web pages are not allowed")
        for origin in headers.getlist("Origin"):
            if not is_loopback(_host(origin)):
                raise refuse(ACCESS_DENIED, f"requests from web pages of {origin} are not allowed")
        for named in headers.getlist("Host"):
            host = _host(f"//{named}")
            if not self._password and host and not is_loopback(host):
                raise refuse(
                    ACCESS_DENIED, f"host name {host!r} is not one of this server's; use 127.0.0.1 or localhost"
                )


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return address


def _credentials(headers: Headers, params: Mapping[str, str]) -> tuple[str, str]:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refuse(AUTHENTICATION_FAILED, "the Authorization header is not valid") from None
        return user or USER, password
    if kind:
        raise refuse(AUTHENTICATION_FAILED, f"authorization by {kind} is not supported by the embedded server")
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", USER), headers.get("X-ClickHouse-Key", "")
    return params.get("user", USER) or USER, params.get("password", "")
