"""Bearer tokens: JWTs signed with Ed25519 (RFC 8037), and nothing else whatever their header says.

A token says ``sub`` (the name for the audit log), ``role``, ``exp``, ``aud`` and ``iss``; its header names the key by
``kid``. Verifying a signature costs about 0.1 ms, so tokens that were good are remembered, by their hash: until they
expire, until a key comes or goes, and no more than a fixed number.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import jwt

from mevflow.control.auth.identity import AuthError, Identity, Role
from mevflow.control.auth.keys import KeyFolder, read_private

ALGORITHM = "EdDSA"
AUDIENCE, ISSUER = "mevflow-control", "mevflow"
MAX_TOKEN = 4096
MAX_NAME = 128
REMEMBERED = 4096

_REFUSALS: tuple[tuple[type[Exception], str, str], ...] = (
    (jwt.ExpiredSignatureError, "TOKEN_EXPIRED", "the token has expired"),
    (jwt.ImmatureSignatureError, "TOKEN_NOT_YET_VALID", "the token is not valid yet"),
    (jwt.InvalidAudienceError, "TOKEN_AUDIENCE", "the token is for another audience"),
    (jwt.InvalidIssuerError, "TOKEN_ISSUER", "the token is of another issuer"),
    (jwt.InvalidAlgorithmError, "TOKEN_ALGORITHM", f"the token is not signed with {ALGORITHM}"),
    (jwt.InvalidSignatureError, "TOKEN_SIGNATURE", "the token's signature is not its key's"),
    (jwt.MissingRequiredClaimError, "TOKEN_CLAIMS", "the token lacks one of sub, role, exp, aud, iss"),
)


@dataclass(frozen=True, slots=True)
class _Known:
    identity: Identity
    expires: float


class Tokens:
    """Verifies tokens of the keys in a folder."""

    def __init__(self, keys: KeyFolder, *, audience: str = AUDIENCE, issuer: str = ISSUER) -> None:
        self._keys, self._audience, self._issuer = keys, audience, issuer
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._generation = keys.generation

    def verify(self, token: str) -> Identity:
        """Whose token it is. Raises AuthError, whose text never holds the token."""
        if len(token) > MAX_TOKEN:
            raise _refused("TOKEN_MALFORMED", f"a token has at most {MAX_TOKEN} characters")
        generation = self._keys.generation
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        mark = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        known = self._known.get(mark)
        if known is not None:
            if time.time() < known.expires:
                self._known.move_to_end(mark)
                return known.identity
            del self._known[mark]
        known = self._check(token)
        self._known[mark] = known
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known.identity

    def _check(self, token: str) -> _Known:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise _refused("TOKEN_MALFORMED", "the token is not a JWT") from None
        if header.get("alg") != ALGORITHM:
            raise _refused("TOKEN_ALGORITHM", f"the token is not signed with {ALGORITHM}")
        key_id = header.get("kid")
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _refused("KEY_UNKNOWN", "the token's key (kid) is not one of this service's")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["sub", "role", "exp", "aud", "iss"]},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            for kind, reason, text in _REFUSALS:
                if isinstance(error, kind):
                    raise _refused(reason, text) from None
            raise _refused("TOKEN_MALFORMED", "the token is not as it should be") from None
        return _Known(_identity(claims), float(claims["exp"]))


def _identity(claims: dict[str, object]) -> Identity:
    name, role = claims["sub"], claims["role"]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise _refused("TOKEN_CLAIMS", f"sub is a name of 1 to {MAX_NAME} printable characters")
    try:
        return Identity(name, Role.of(str(role)))
    except ValueError:
        raise _refused("TOKEN_CLAIMS", "role is viewer, operator, risk or admin") from None


def _refused(reason: str, message: str) -> AuthError:
    return AuthError(message, reason=reason)


def make_token(
    private: Path,
    key_id: str,
    name: str,
    role: str,
    ttl_s: float,
    *,
    audience: str = AUDIENCE,
    issuer: str = ISSUER,
) -> str:
    """A token signed with a private key's file. Raises UsageError (the file), ValueError (the role)."""
    now = int(time.time())
    claims = {
        "sub": name,
        "role": str(Role.of(role)),
        "iat": now,
        "exp": now + int(ttl_s),
        "aud": audience,
        "iss": issuer,
    }
    return jwt.encode(claims, read_private(private), algorithm=ALGORITHM, headers={"kid": key_id})
