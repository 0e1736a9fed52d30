"""Certificates of the hub's WebTransport port: made here, known by their hash, and new before they are old.

A browser takes a certificate that no authority signed when the page names its hash (``serverCertificateHashes``), its
key is ECDSA on P-256, and it is good for at most 14 days.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

#: From the first moment to the last; after RENEWED there is another for those who come then.
VALID, RENEWED = timedelta(days=10), timedelta(days=5)
#: How far a client's clock may be behind.
_BEHIND = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def sha256(self) -> str:
        """What a browser knows it by, in hex."""
        return hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()

    def is_old(self, now: datetime) -> bool:
        """Whether those who come at ``now`` should get another."""
        return now >= self.certificate.not_valid_before_utc + RENEWED


def make_certificate(host: str, now: datetime) -> Certificate:
    """One for ``host``, good from about ``now`` (with a time zone) on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mevflow hub")])
    begin = now - _BEHIND
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    return Certificate(made, key)
