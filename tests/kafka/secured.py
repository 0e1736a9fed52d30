"""A real broker with TLS, SASL and client certificates, beside the embedded one's settings."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from mevflow.kafka import broker, broker_files
from mevflow.kafka.security import KafkaSecurity
from mevflow.processes.addresses import free_port
from mevflow.processes.startup import Startup
from tests.control.auth.conftest import Authority
from tests.kafka.token_server import AUDIENCE, TokenServer, token_server

PASSWORD = "correct horse; battery = staple"
_LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},\\
  SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{mtls}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{mtls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_ann="{password}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={modules}.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=\
  {modules}.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={jwks}
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.expected.audience={audience}
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
"""


@dataclass(frozen=True)
class Secured:
    """Where it listens, and the files of a client that is let in."""

    sasl: str
    mtls: str
    ca: Path
    password_file: Path
    certificate: Path
    key: Path
    tokens: TokenServer

    def by_password(self, mechanism, **changed):
        fields = {"username": "ann", "password_file": str(self.password_file), "ca": str(self.ca), **changed}
        return KafkaSecurity(self.sasl, "sasl_ssl", mechanism, **fields)

    def by_token(self, **changed):
        return self.by_password("OAUTHBEARER", **{"token_url": self.tokens.url, "token_scope": "kafka", **changed})

    def by_certificate(self):
        return KafkaSecurity(self.mtls, "ssl", ca=str(self.ca), certificate=str(self.certificate), key=str(self.key))


@contextmanager
def secured_broker(folder):
    """A broker in ``folder``; gives a :class:`Secured`."""
    authority = Authority(folder, "ca")
    certificate, key = authority.make("broker")
    keystore = folder / "keystore.pem"
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    mine = authority.make("client")
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")
    plain, controller, sasl, mtls = (free_port() for _ in range(4))
    home = broker._make_home(folder / "var")
    java, jars = broker_files.java(), broker_files.jars(lambda said: None)
    properties = broker_files.prepare(home, "127.0.0.1", plain, controller, java, jars)
    kept = [line for line in properties.read_text().splitlines() if not line.startswith(("listeners=", "advertised"))]
    jwks = folder / "jwks.json"
    added = _LISTENERS.format(
        plain=plain, controller=controller, sasl=sasl, mtls=mtls, password=PASSWORD, keystore=keystore,
        authority=authority.file, jwks=jwks.as_uri(), audience=AUDIENCE, modules="org.apache.kafka.common.security",
    )  # fmt: skip
    properties.write_text("\n".join(line for line in kept if "protocol.map" not in line) + added)
    bootstrap = f"127.0.0.1:{plain}"
    startup = Startup([home / "broker.log"])
    with token_server(PASSWORD, jwks) as tokens, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks.as_uri()}")
        running = broker._spawn(home, java, jars, 384, properties)
        patch.undo()
        try:
            broker._await(bootstrap, running, startup, home / "broker.log")
            admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                wanted = UserScramCredentialUpsertion("ann", ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
                for done in admin.alter_user_scram_credentials([wanted]).values():
                    done.result(20)
            yield Secured(f"127.0.0.1:{sasl}", f"127.0.0.1:{mtls}", authority.file, password_file, *mine, tokens)
        finally:
            broker.stop(folder / "var")
