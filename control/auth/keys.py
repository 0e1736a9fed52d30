"""The public keys of those who may sign tokens: a folder with one PEM file a key, named ``<key id>.pem``.

A key is put in force by putting its file there and withdrawn by taking it away; both hold within a second.
"""

from __future__ import annotations

import re
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mevflow.control.auth.files import Watched
from mevflow.operators.errors import UsageError
from mevflow.processes.private import open_private, private_folder

KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SUFFIX = ".pem"

log = structlog.get_logger("mevflow.control")


class KeyFolder:
    """Keys by key id. Raises UsageError when the folder cannot be read at first."""

    def __init__(self, folder: Path) -> None:
        nothing: dict[str, Ed25519PublicKey] = {}
        self._watched = Watched(
            folder, read_keys, nothing, lambda error: log.error("keys_unreadable", detail=str(error))
        )

    @property
    def generation(self) -> int:
        """Rises whenever a key came or went."""
        self._watched.get()
        return self._watched.generation

    def get(self, key_id: str) -> Ed25519PublicKey | None:
        """The key in force under an id."""
        return self._watched.get().get(key_id)


def read_keys(folder: Path) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a folder; a file that holds anything else is passed over, and the log says so."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f"the folder of public keys cannot be read: {error.strerror}",
            hint="mevflow control keys new",
            file=str(folder),
        ) from error
    found: dict[str, Ed25519PublicKey] = {}
    for file in files:
        if file.suffix != SUFFIX or not KEY_ID.fullmatch(file.stem):
            continue
        try:
            key = load_pem_public_key(file.read_bytes())
        except (OSError, ValueError):
            key = None
        if isinstance(key, Ed25519PublicKey):
            found[file.stem] = key
        else:
            log.error("not_an_ed25519_public_key", file=str(file))
    return found


def make_key(folder: Path, key_id: str, private: Path) -> None:
    """Make a key pair: the public half into ``folder``, the other into the file ``private``, for its owner's eyes only.

    Raises UsageError when a file is there already, or when the private half would lie among the public ones.
    """
    if not KEY_ID.fullmatch(key_id):
        raise UsageError("a key id is 1 to 64 letters, digits, dots, dashes and underscores", key=key_id)
    public = folder / f"{key_id}{SUFFIX}"
    if private.absolute().parent == folder.absolute():
        raise UsageError("private keys do not belong into the folder of public ones", file=str(private))
    for file in (public, private):
        if file.exists():
            raise UsageError("is there already; choose another key id", file=str(file))
    key = Ed25519PrivateKey.generate()
    private_folder(folder)
    private_folder(private.parent)
    with open_private(private, "wb") as written:
        written.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    # Moved into place, so that nobody reads half a key.
    half = public.with_suffix(".new")
    half.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    half.replace(public)


def read_private(file: Path) -> Ed25519PrivateKey:
    """A private key's file. Raises UsageError."""
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except (ValueError, TypeError):
        key = None  # what the library says may quote the file
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("holds no Ed25519 private key in PEM", file=str(file))
    return key
