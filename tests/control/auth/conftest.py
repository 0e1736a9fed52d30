"""Keys, tokens and certificates, made anew for each test."""

import datetime
import ipaddress
import time

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mevflow.control.auth import files
from mevflow.control.auth.keys import make_key, read_private

#: For property tests: hypothesis takes for the strategy's what threads of a Kafka client do, who draw brokers from the
#: process's one ``random`` while the service of the folder runs.
THREADS_DRAW = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")


class Keys:
    """A folder of public keys, and the private halves beside it."""

    def __init__(self, root):
        self.root, self.folder = root, root / "public"
        self.folder.mkdir()

    def private(self, key_id):
        return self.root / "private" / f"{key_id}.pem"

    def make(self, key_id="one"):
        make_key(self.folder, key_id, self.private(key_id))
        return self

    def token(self, key_id="one", *, header=None, key=None, algorithm="EdDSA", drop=(), **claims):
        """A good token, but for what the arguments change."""
        content = {
            "sub": "ann",
            "role": "admin",
            "exp": int(time.time()) + 60,
            "aud": "mevflow-control",
            "iss": "mevflow",
            **claims,
        }
        for name in drop:
            del content[name]
        signing = read_private(self.private(key_id)) if key is None else key
        return jwt.encode(content, signing, algorithm=algorithm, headers={"kid": key_id, **(header or {})})


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOOK_S", 0.0)
    return Keys(tmp_path).make()


class Authority:
    """A CA that makes certificates for servers and clients."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self._key = generate_private_key(SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._now = datetime.datetime.now(datetime.UTC)
        certificate = (
            self._start(self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def _start(self, subject, key):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - datetime.timedelta(minutes=1))
            .not_valid_after(self._now + datetime.timedelta(hours=1))
        )

    def make(self, name, *, common_name=True):
        """(certificate file, key file) of ``name``."""
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if common_name else [])
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            self._start(subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


@pytest.fixture
def make_authority(tmp_path):
    def make(name="ca"):
        folder = tmp_path / name
        folder.mkdir()
        return Authority(folder, name)

    return make
