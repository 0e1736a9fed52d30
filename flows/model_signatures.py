"""Who vouches for a registered model: an Ed25519 signature of its content id, in the file ``signature`` beside it.

The id is the hash of the state, so a signature holds for what was learned wherever it is copied to, under any name.
Keys are made as those of tokens are (``mevflow control keys new``), and public ones lie in a folder, ``KEY_ID.pem``.
"""

from __future__ import annotations

from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.flows.steering.signatures import Signer, Verifier
from mevflow.operators.errors import StateError
from mevflow.processes.private import write_private

_CONTEXT = b"mevflow model 1\x00"
_FILE = "signature"
#: ``KEY_ID:BASE64`` of 64 bytes is shorter.
_MOST = 256


def sign(registry: ModelRegistry, meta: ModelMeta, signer: Signer) -> str:
    """Sign a model whose state is whole; gives the signature. Raises StateError for a damaged one."""
    registry.state(meta)
    text = signer.signature(_message(meta))
    write_private(registry.home(meta) / _FILE, f"{text}\n".encode())
    return text


def fault(registry: ModelRegistry, meta: ModelMeta, keys: Verifier) -> str:
    """Why a model is not signed as it should be: ``unsigned``, ``bad_signature``; empty when it is.

    Raises StateError when its signature cannot be read.
    """
    path = registry.home(meta) / _FILE
    try:
        with path.open("rb") as file:
            given = file.read(_MOST + 1)
    except FileNotFoundError:
        return "unsigned"
    except OSError as error:
        raise StateError(f"the signature cannot be read: {error.strerror}", file=str(path)) from None
    return keys.fault_of(_message(meta), given.strip())


def _message(meta: ModelMeta) -> bytes:
    return _CONTEXT + meta.id.encode()
