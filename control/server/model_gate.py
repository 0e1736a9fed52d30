"""The gate before a model gets into force, whoever asks by whichever call: swap, deploy, promote, rollback.

The model is found in the registry of the service's host by what the command says of it: the id, the state itself, or a
candidate that an earlier command brought. Refused unless the caller forces it, and then the command's reason says so:
what nobody has registered, what is below the gate (``mevflow.learning.verdict``), and a candidate that is to lead
before the evidence lets it. A signature that is wrong is refused always, a missing one where the service asks for
signatures.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from mevflow.control.commands.draft import MAX_REASON
from mevflow.control.refusal import Refused
from mevflow.flows.model_signatures import fault
from mevflow.flows.registry import ModelMeta, ModelRegistry, NamedModel, named_in
from mevflow.flows.steering.signatures import Verifier
from mevflow.learning.verdict import shortfalls
from mevflow.operators.errors import MevflowError, UsageError

#: What is audited of why a model is below the gate, in characters.
_REASON = 300

_SIGNATURES = {
    "unsigned": "nobody has signed it (`mevflow model sign`)",
    "bad_signature": "its signature is not that of a key of the service's folder of model keys",
}


class ModelGate:
    """``models``: the registry's folder. ``keys``: a folder of public keys that may sign; ``signed``: one must have."""

    def __init__(self, models: Path, keys: Path | None, signed: bool) -> None:
        if signed and keys is None:
            raise UsageError("models_signed needs model_keys: whose signatures hold?", key="control")
        self._registry = ModelRegistry(models)
        self._keys = None if keys is None else Verifier(keys)
        self._signed = signed

    def passed(self, payload: bytes, earlier: Iterable[bytes], force: bool, reason: str, before: bool = False) -> str:
        """The reason to audit. ``earlier`` are payloads of the same target's commands, the newest first.

        ``before``: what the payload brings was in force before. Raises Refused for a model that may not get into force.
        """
        asked = named_in(payload) or NamedModel()  # the stage refuses what cannot be read
        identifier = _identifier(asked, earlier)
        meta = self._registered(identifier)
        self._check_signature(meta, identifier)
        short = self._shortfalls(asked, identifier, meta, before)
        if not short:
            return reason
        said = "; ".join(short)
        if not force:
            code = "UNREGISTERED" if identifier and meta is None else "BELOW_THE_GATE"
            raise _refused(code, identifier[:12] if meta is None else meta.name, f"{said}; or force it")
        return "; ".join(filter(None, [f"forced: {said}"[:_REASON], reason]))[:MAX_REASON]

    def _shortfalls(self, asked: NamedModel, identifier: str, meta: ModelMeta | None, before: bool) -> list[str]:
        """Why a command needs force; nothing where it does not."""
        try:
            short = [] if meta is None else shortfalls(self._registry, meta, before)
        except MevflowError as error:
            raise _refused("DAMAGED_MODEL", identifier[:12], str(error)) from error
        if before:
            return short
        if identifier and meta is None:
            short.append(f"nobody has registered model {identifier[:12]}: mevflow train, or mevflow model export")
        if asked.leads:
            short.append(
                f"no evidence lets {asked.candidate} lead yet: it leads by itself once its labels show it better"
            )
        return short

    def _registered(self, identifier: str) -> ModelMeta | None:
        try:
            return self._registry.find(identifier) if identifier else None
        except UsageError:
            return None

    def _check_signature(self, meta: ModelMeta | None, identifier: str) -> None:
        if self._keys is None:
            return
        try:
            wrong = "unsigned" if meta is None else fault(self._registry, meta, self._keys)
        except MevflowError as error:
            raise _refused("BAD_SIGNATURE", identifier, str(error)) from error
        if wrong == "bad_signature" or (wrong and self._signed and identifier):
            name = identifier[:12] if meta is None else f"{meta.name}@{meta.version}"
            raise _refused(wrong.upper(), name, f"model {name}: {_SIGNATURES[wrong]}")


def _identifier(asked: NamedModel, earlier: Iterable[bytes]) -> str:
    """The content id of the model that a command brings into force; empty where it brings none that was learned."""
    if asked.candidate and not asked.learned:
        former = filter(None, map(named_in, earlier))
        brought = (each for each in former if each.candidate == asked.candidate and each.learned)
        asked = next(brought, asked)
    if asked.id or not asked.state:
        return asked.id
    try:
        return hashlib.sha256(base64.b64decode(asked.state, validate=True)).hexdigest()
    except ValueError:
        return ""  # the stage says what is wrong with it


def _refused(reason: str, name: str, words: str) -> Refused:
    return Refused("FAILED_PRECONDITION", reason, words, preconditions=[("MODEL", name, words)])
