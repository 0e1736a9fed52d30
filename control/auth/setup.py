"""From the configuration to what guards the doors. What would leave a door open to the network is refused."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

import grpc

from mevflow.control.auth.authenticator import ProvenAuthenticator
from mevflow.control.auth.certificates import Certificates
from mevflow.control.auth.identity import Authenticator, LocalAuthenticator
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.limits import Rate, RateLimits
from mevflow.control.auth.tls import TlsFiles
from mevflow.control.auth.tokens import Tokens
from mevflow.flows.config import ControlConfig
from mevflow.operators.errors import UsageError
from mevflow.processes.addresses import is_loopback


@dataclass(frozen=True, slots=True)
class Guards:
    """``credentials`` and ``context`` are None without TLS."""

    authenticator: Authenticator
    credentials: grpc.ServerCredentials | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)

    def said(self) -> str:
        """For people: how the doors are guarded."""
        if not self.authenticator.authenticates:
            return "no authentication is configured: loopback only, and every caller there is admin"
        return "callers are authenticated; " + ("TLS" if self.context else "without TLS: loopback only")


def guards(settings: ControlConfig, host: str) -> Guards:
    """Of a service that is to listen on ``host``. Raises UsageError."""
    tls = _tls(settings)
    tokens = None
    if settings.jwt_keys is not None:
        tokens = Tokens(KeyFolder(settings.jwt_keys), audience=settings.audience, issuer=settings.issuer)
    certificates = None
    if settings.client_roles is not None:
        if settings.client_ca is None:
            raise UsageError("client_roles needs client_ca: only verified certificates have names", key="control")
        certificates = Certificates(settings.client_roles)
    made: Authenticator = LocalAuthenticator()
    if tokens is not None or certificates is not None:
        limits = RateLimits(
            Rate(settings.reads_per_s, settings.reads_burst),
            Rate(settings.changes_per_s, settings.changes_burst),
            Rate(settings.kills_per_s, settings.kills_burst),
        )
        made = ProvenAuthenticator(tokens, certificates, limits)
    if not is_loopback(host):
        if not made.authenticates:
            raise UsageError(
                f"without authentication the control service listens on loopback only, not on {host}",
                hint="set MEVFLOW_CONTROL__JWT_KEYS, or MEVFLOW_CONTROL__CLIENT_CA with CLIENT_ROLES",
            )
        if tls is None:
            raise UsageError(
                f"without TLS the control service listens on loopback only, not on {host}: tokens could be read",
                hint="set MEVFLOW_CONTROL__TLS_CERT and MEVFLOW_CONTROL__TLS_KEY",
            )
    if tls is None:
        return Guards(made)
    return Guards(made, tls.credentials(), tls.context())


def _tls(settings: ControlConfig) -> TlsFiles | None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UsageError("tls_cert and tls_key go together", key="control")
    if settings.tls_cert is None or settings.tls_key is None:
        if settings.client_ca is not None:
            raise UsageError("client_ca needs tls_cert and tls_key", key="control")
        return None
    return TlsFiles(settings.tls_cert, settings.tls_key, settings.client_ca)
