"""Signatures of commands: so that whoever may write to Kafka is not an operator.

A record of ``control-commands`` bears the header ``mevflow-signature``: the id of an Ed25519 key, a colon, and the
signature (base64) over the record's key and value. Public keys lie in a folder as those of tokens do, ``KEY_ID.pem``;
one that is taken away, or cannot be read, is none within a second.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mevflow.operators.errors import UsageError

HEADER = "mevflow-signature"
_CONTEXT = b"mevflow control command 1\x00"
_LOOK_S = 1.0
_MAX_HEADER = 256

#: A record's headers as confluent_kafka gives them.
Headers = Sequence[tuple[str, bytes | None]] | None


def _signed(key: bytes, value: bytes) -> bytes:
    return _CONTEXT + len(key).to_bytes(4, "big") + key + value


class Signer:
    """Signs with the private key of a PEM file; its id is the file's name. Raises UsageError."""

    def __init__(self, file: Path) -> None:
        try:
            key = load_pem_private_key(file.read_bytes(), None)
        except OSError as error:
            raise UsageError(f"the signing key cannot be read: {error.strerror}", file=str(file)) from error
        except (ValueError, TypeError):
            key = None  # what the library says may quote the file
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError("holds no Ed25519 private key in PEM", hint="mevflow control keys new", file=str(file))
        self._key, self._id = key, file.stem

    def header(self, key: str, value: bytes) -> tuple[str, bytes]:
        """The header of a record."""
        return HEADER, self.signature(_signed(key.encode(), value)).encode()

    def signature(self, message: bytes) -> str:
        """``KEY_ID:BASE64`` of the signature of a message; what it is about stands at the message's begin."""
        return f"{self._id}:{base64.b64encode(self._key.sign(message)).decode()}"


@dataclass(slots=True)
class Verifier:
    """Verifies with the public keys of a folder. Raises UsageError when there is no such folder at first."""

    folder: Path
    _keys: dict[str, Ed25519PublicKey] = field(default_factory=dict)
    _looked: float = float("-inf")

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UsageError(
                "the folder of keys that sign cannot be read",
                hint="mevflow control keys new",
                file=str(self.folder),
            )

    def fault(self, key: bytes | None, value: bytes, headers: Headers) -> str:
        """Why a record is not signed as it should be: ``unsigned``, ``bad_signature``; empty when it is."""
        given = [text for name, text in headers or () if name == HEADER]
        if len(given) != 1 or given[0] is None:
            return "unsigned"
        return self.fault_of(_signed(key or b"", value), given[0])

    def fault_of(self, message: bytes, signature: bytes) -> str:
        """``bad_signature`` unless a key of the folder has signed the message; see :meth:`Signer.signature`."""
        name, _, text = signature[:_MAX_HEADER].partition(b":")
        public = self._present().get(name.decode("ascii", "replace"))
        if public is None:
            return "bad_signature"
        try:
            public.verify(base64.b64decode(text, validate=True), message)
        except (InvalidSignature, binascii.Error, ValueError):
            return "bad_signature"
        return ""

    def _present(self) -> dict[str, Ed25519PublicKey]:
        now = time.monotonic()
        if now - self._looked >= _LOOK_S:
            self._looked, self._keys = now, _read(self.folder)
        return self._keys


def _read(folder: Path) -> dict[str, Ed25519PublicKey]:
    """The keys that there are; what cannot be read is none."""
    found = {}
    try:
        for file in folder.glob("*.pem"):
            try:
                key = load_pem_public_key(file.read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(key, Ed25519PublicKey):
                found[file.stem] = key
    except OSError:
        return {}
    return found
