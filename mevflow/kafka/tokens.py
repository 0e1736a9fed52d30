"""Access tokens for OAUTHBEARER: asked from an OAuth 2 server by a client's id and secret, kept while they are good.

librdkafka asks for its own (``sasl.oauthbearer.method=oidc``); these are for the clients in Python.
"""

from __future__ import annotations

import asyncio
import threading
import time
from urllib.parse import urlencode

import msgspec
import urllib3
from aiokafka.abc import AbstractTokenProvider as AsyncTokenProvider
from kafka.net.sasl.oauth import AbstractTokenProvider

from mevflow.operators.errors import UnreachableError
from mevflow.processes.private import read_secret

#: An answer with a token has at most this many bytes, and comes within this many seconds.
_MOST_BYTES, _PATIENCE_S = 65_536, 10.0
#: A token is renewed when this share of its life is over.
_RENEW_AT = 0.8


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 60.0


class Tokens:
    """The tokens of one client (``client``, and the file with its secret) of the server at ``url``.

    ``scope``: asked for where it is not empty. ``ca``: who may sign the server's certificate (empty: the system's).
    """

    def __init__(self, url: str, client: str, secret_file: str, scope: str = "", ca: str = "") -> None:
        self._url, self._client, self._secret_file, self._scope = url, client, secret_file, scope
        self._pool = urllib3.PoolManager(ca_certs=ca or None, retries=False, timeout=_PATIENCE_S)
        self._lock = threading.Lock()
        self._token, self._renew = "", 0.0

    def token(self) -> str:
        """A token that is good now. Raises UnreachableError: the server cannot be asked, or gives none."""
        with self._lock:
            if time.monotonic() >= self._renew:
                asked = time.monotonic()
                answer = self._ask()
                self._token, self._renew = answer.access_token, asked + _RENEW_AT * answer.expires_in
            return self._token

    def _ask(self) -> _Answer:
        secret = f"{self._client}:{read_secret(self._secret_file)}"
        fields = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        try:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            headers = {**urllib3.make_headers(basic_auth=secret), **form}
            answer = self._pool.request(
                "POST", self._url, body=urlencode(fields), headers=headers, preload_content=False, redirect=False
            )
            try:
                body = answer.read(_MOST_BYTES)
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._refused(f"cannot be asked ({type(error).__name__})") from None
        if answer.status != 200:
            raise self._refused(f"answers {answer.status}")
        try:
            return msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            raise self._refused("gives no access_token") from None

    def _refused(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"the token server {self._url} {why}",
            key="kafka.token_url",
            hint="check MEVFLOW_KAFKA__TOKEN_URL, MEVFLOW_KAFKA__USERNAME (the client's id) and "
            "MEVFLOW_KAFKA__PASSWORD_FILE (its secret)",
        )


class PythonTokens(AbstractTokenProvider):
    """As kafka-python asks for them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def token(self) -> str:
        """A token that is good now."""
        return self._tokens.token()


class AsyncTokens(AsyncTokenProvider):
    """As aiokafka asks for them: beside its event loop."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def token(self) -> str:
        """A token that is good now."""
        return await asyncio.get_running_loop().run_in_executor(None, self._tokens.token)
