"""How clients reach a broker: its address with TLS and SASL, said once for a process and kept by address.

A password is read from its file whenever a client is made, so that a changed one is taken up; it is nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mevflow.operators.errors import UsageError
from mevflow.processes.private import read_secret

if TYPE_CHECKING:
    import ssl

    from mevflow.kafka.tokens import Tokens

Protocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class KafkaSecurity(msgspec.Struct, frozen=True):
    """Of the cluster at ``bootstrap``. Paths are of PEM files; an empty one is not used.

    ``ca``: who may sign the broker's certificate (empty: the system's). ``certificate`` and ``key``: what this client
    shows (mTLS). ``password_file`` and ``key_password_file`` hold one password, a line break at the end aside.
    With OAUTHBEARER, user and password are a client's id and secret at the OAuth 2 server ``token_url``, which is asked
    for ``token_scope`` where it is not empty, and whose certificate ``ca`` judges, too.
    """

    bootstrap: str
    protocol: Protocol = "plaintext"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password_file: str = ""
    token_url: str = ""
    token_scope: str = ""

    @property
    def encrypted(self) -> bool:
        return self.protocol.endswith("ssl")

    @property
    def signs_in(self) -> bool:
        return self.protocol.startswith("sasl")

    @property
    def by_token(self) -> bool:
        return self.mechanism == "OAUTHBEARER"

    def check(self) -> None:
        """Raise UsageError for what is missing, with the setting's name."""
        if self.signs_in and not (self.username and self.password_file):
            raise UsageError(f"{self.protocol} needs a user and a password", key="kafka.username, kafka.password_file")
        if self.signs_in and self.by_token and not self.token_url.startswith(("https://", "http://")):
            raise UsageError("OAUTHBEARER needs the address that gives tokens, https://…", key="kafka.token_url")
        if bool(self.certificate) != bool(self.key):
            raise UsageError("certificate and key go together", key="kafka.certificate, kafka.key")
        for name in ("ca", "certificate", "key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise UsageError("there is no such file", file=path, key=f"kafka.{name}")

    def librdkafka(self) -> dict[str, Any]:
        """Settings of a confluent_kafka or librdkafka client. Raises UsageError."""
        self.check()
        found: dict[str, Any] = {"security.protocol": self.protocol}
        if self.encrypted:
            key_password = read_secret(self.key_password_file)
            paths = {
                "ssl.ca.location": self.ca,
                "ssl.certificate.location": self.certificate,
                "ssl.key.location": self.key,
                "ssl.key.password": key_password,
            }
            found |= {name: value for name, value in paths.items() if value}
        if self.signs_in and self.by_token:
            options = {
                "sasl.oauthbearer.client.id": self.username,
                "sasl.oauthbearer.client.secret": read_secret(self.password_file),
                "sasl.oauthbearer.token.endpoint.url": self.token_url,
                "sasl.oauthbearer.scope": self.token_scope,
                "https.ca.location": self.ca,
            }
            found |= {"sasl.mechanism": self.mechanism, "sasl.oauthbearer.method": "oidc"}
            found |= {name: value for name, value in options.items() if value}
        elif self.signs_in:
            found |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": read_secret(self.password_file),
            }
        return found

    def context(self) -> ssl.SSLContext:
        """For clients that take TLS as Python makes it. Raises UsageError for files that cannot be read."""
        import ssl  # a command that only reads the configuration does not wait for it

        self.check()
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key, read_secret(self.key_password_file) or None)
        except OSError as error:
            raise UsageError(f"TLS cannot be set up: {error}", key="kafka.ca, kafka.certificate, kafka.key") from None
        return context

    def tokens(self) -> Tokens:
        """The access tokens of this client. Raises UsageError."""
        from mevflow.kafka.tokens import Tokens  # loads two Kafka clients

        self.check()
        return Tokens(self.token_url, self.username, self.password_file, self.token_scope, self.ca)

    def kafka_python(self) -> dict[str, Any]:
        """Settings of a kafka-python client. Raises UsageError, and UnreachableError where no token is given."""
        self.check()
        found: dict[str, Any] = {"security_protocol": self.protocol.upper()}
        if self.encrypted:
            paths = {
                "ssl_cafile": self.ca,
                "ssl_certfile": self.certificate,
                "ssl_keyfile": self.key,
                "ssl_password": read_secret(self.key_password_file),
            }
            found |= {name: value for name, value in paths.items() if value}
        if self.signs_in and self.by_token:
            from mevflow.kafka.tokens import PythonTokens

            tokens = self.tokens()
            tokens.token()  # kafka-python would try again and again, and say nothing of why
            found |= {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": PythonTokens(tokens)}
        elif self.signs_in:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": read_secret(self.password_file),
            }
        return found


_known: dict[str, KafkaSecurity] = {}


def use(security: KafkaSecurity | None) -> None:
    """From now on this process reaches that cluster, and no other one, in this way; None: every one in plain."""
    _known.clear()
    if security is not None and security.protocol != "plaintext":
        _known[security.bootstrap] = security


def reach(bootstrap: str) -> dict[str, Any]:
    """The settings with which a librdkafka client reaches a cluster. Raises UsageError for files that are missing."""
    known = _known.get(bootstrap)
    return {"bootstrap.servers": bootstrap, **(known.librdkafka() if known is not None else {})}


def reach_by_python(bootstrap: str) -> dict[str, Any]:
    """The settings with which a kafka-python client reaches a cluster. Raises UsageError for files that are missing."""
    known = _known.get(bootstrap)
    return {"bootstrap_servers": bootstrap, **(known.kafka_python() if known is not None else {})}


def refusal(told: list[Any]) -> str:
    """Of the errors that a client was told, why it was not let in; empty when that is not what they say."""
    from confluent_kafka import KafkaError

    for error in told:
        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            reason = str(error.str()).partition(": ")[2] or str(error.str())
            return f": it does not let this client in ({reason[:200]})"
    return ""


def security_of(bootstrap: str) -> KafkaSecurity | None:
    """How a cluster is reached; None: in plain."""
    return _known.get(bootstrap)
