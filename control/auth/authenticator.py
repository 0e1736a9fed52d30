"""The service's authenticator: a bearer token, else a client certificate; then how often; then the role."""

from __future__ import annotations

from collections.abc import Mapping

from mevflow.control.auth.certificates import Certificates
from mevflow.control.auth.identity import AuthError, Identity, require_role
from mevflow.control.auth.limits import RateLimits
from mevflow.control.auth.tokens import Tokens


class ProvenAuthenticator:
    """Callers prove who they are. A token decides when there is one, also beside a certificate."""

    authenticates = True

    def __init__(self, tokens: Tokens | None, certificates: Certificates | None, limits: RateLimits) -> None:
        self._tokens, self._certificates, self._limits = tokens, certificates, limits

    def authenticate(self, metadata: Mapping[str, str], peer: str, tls_identity: str | None) -> Identity:
        header = metadata.get("authorization", "")
        if header and self._tokens is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise AuthError("authorization is 'Bearer TOKEN'", reason="TOKEN_MALFORMED")
            return self._tokens.verify(token.strip())
        if tls_identity and self._certificates is not None:
            return self._certificates.identify(tls_identity)
        wanted = [
            text
            for text, there in (("a bearer token", self._tokens), ("a client certificate", self._certificates))
            if there is not None
        ]
        raise AuthError(f"the call carries no proof of who calls: {' or '.join(wanted)}", reason="TOKEN_MISSING")

    def limit(self, identity: Identity, method: str) -> None:
        self._limits.take(identity, method)

    def authorise(self, identity: Identity, method: str) -> None:
        require_role(identity, method)
