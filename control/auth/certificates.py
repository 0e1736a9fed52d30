"""Roles of client certificates: a TOML file of names (subject CN, or the first SAN without one) and roles.

.. code-block:: toml

    [identities]
    "dashboard.internal" = "viewer"
    "risk-desk" = "risk"

The server has verified the certificate against its client CA before a name comes here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import structlog

from mevflow.control.auth.files import Watched
from mevflow.control.auth.identity import AuthError, Identity, Role
from mevflow.operators.errors import UsageError

log = structlog.get_logger("mevflow.control")


class Certificates:
    """Who a verified certificate's name is. Raises UsageError when the file is wrong at first."""

    def __init__(self, file: Path) -> None:
        nothing: dict[str, Role] = {}
        self._watched = Watched(
            file, read_roles, nothing, lambda error: log.error("roles_unreadable", detail=str(error))
        )

    def identify(self, name: str) -> Identity:
        """The caller by this name. Raises AuthError."""
        role = self._watched.get().get(name)
        if role is None:
            raise AuthError("the certificate's name has no role here", reason="CERTIFICATE_UNKNOWN")
        return Identity(name, role)


def read_roles(file: Path) -> dict[str, Role]:
    """Roles by name. Raises UsageError."""
    try:
        content = tomllib.loads(file.read_text())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except ValueError as error:
        raise UsageError(f"is not TOML: {error}", file=str(file)) from error
    names = content.get("identities")
    if not isinstance(names, dict) or set(content) != {"identities"}:
        raise UsageError('holds one table, [identities], with "name" = "role"', file=str(file))
    found = {}
    for name, role in names.items():
        try:
            found[name] = Role.of(role if isinstance(role, str) else "")
        except ValueError as error:
            raise UsageError(str(error), file=str(file), key=f"identities.{name}") from None
    return found
