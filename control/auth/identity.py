"""Who calls, and what for: the contract between the service and whatever authenticates its callers.

An :class:`Authenticator` is given to the service; ``mevflow.control.auth`` has the real one.
:class:`LocalAuthenticator` is what there is without any configuration: it knows nobody, so the service that uses it
binds to loopback only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from mevflow.control.methods import METHODS


class Role(IntEnum):
    """What a caller may do; a higher one may all that a lower one may."""

    VIEWER = 1
    OPERATOR = 2
    RISK = 3
    ADMIN = 4

    @classmethod
    def of(cls, name: str) -> Role:
        """The role by its lower-case name. Raises ValueError."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"{name!r} is no role: viewer, operator, risk or admin") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller. ``name`` is written to the audit log and into each command that it issues."""

    name: str
    role: Role


class AuthError(Exception):
    """A refused caller. ``code`` is a gRPC status by name; ``reason`` is for machines (``TOKEN_EXPIRED``).

    ``identity`` is set when it is known who was refused; ``retry_after_s`` when it is worth trying again. The message
    is shown to the caller and kept in the audit log: it never holds a token.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNAUTHENTICATED",
        reason: str = "UNAUTHENTICATED",
        identity: Identity | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.reason = message, code, reason
        self.identity, self.retry_after_s = identity, retry_after_s


class Authenticator(Protocol):
    """Asked in this order for every call; each raises AuthError to refuse it."""

    #: Whether callers prove who they are; a service whose callers do not binds to loopback only.
    authenticates: bool

    def authenticate(self, metadata: Mapping[str, str], peer: str, tls_identity: str | None) -> Identity:
        """Who calls. ``metadata``: header names in lower case. ``tls_identity``: the client certificate's subject,
        verified by the server, or None. UNAUTHENTICATED otherwise."""

    def limit(self, identity: Identity, method: str) -> None:
        """RESOURCE_EXHAUSTED when the caller calls too often."""

    def authorise(self, identity: Identity, method: str) -> None:
        """PERMISSION_DENIED when the role is too low. ``method`` is the bare name (``Apply``)."""


def require_role(identity: Identity, method: str) -> None:
    """Raise PERMISSION_DENIED unless the caller's role is at least what ``mevflow.control.methods`` asks for."""
    needed = Role.of(METHODS[method].role)
    if identity.role < needed:
        raise AuthError(
            f"{method} needs the role {needed}; {identity.name} is {identity.role}",
            code="PERMISSION_DENIED",
            reason="ROLE_TOO_LOW",
            identity=identity,
        )


class LocalAuthenticator:
    """Everyone is ``local`` with the role admin: for loopback, where the operating system guards the door."""

    authenticates = False
    identity = Identity("local", Role.ADMIN)

    def authenticate(self, metadata: Mapping[str, str], peer: str, tls_identity: str | None) -> Identity:
        return self.identity

    def limit(self, identity: Identity, method: str) -> None:
        """No limit."""

    def authorise(self, identity: Identity, method: str) -> None:
        require_role(identity, method)
