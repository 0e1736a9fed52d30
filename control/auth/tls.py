"""TLS from files, for both doors: grpc's credentials and an ``ssl.SSLContext``.

With a client CA every client must show a certificate of it (mutual TLS), on both doors.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from mevflow.operators.errors import UsageError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the chain, its key, and the CA of clients (None: clients need no certificate)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For HTTPS. TLS 1.2 at least. Raises UsageError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"the TLS files do not load: {error}", hint="PEM; the key is the certificate's and has no password"
            ) from None
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC. Raises UsageError."""
        self.context()  # grpc itself says nothing about files that do not fit
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        if self.client_ca is None:
            return grpc.ssl_server_credentials([pair])
        return grpc.ssl_server_credentials([pair], self.client_ca.read_bytes(), require_client_auth=True)


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def name_of(certificate: dict[str, Any] | None) -> str | None:
    """The name in a verified certificate as ``getpeercert()`` gives it: the CN, else the first SAN."""
    if not certificate:
        return None
    for group in certificate.get("subject", ()):
        for kind, value in group:
            if kind == "commonName":
                return str(value)
    return next((str(value) for _, value in certificate.get("subjectAltName", ())), None)
