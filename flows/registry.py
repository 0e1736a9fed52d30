"""Models on disk: ``var/models/NAME/VERSION/{state, meta.json}``, and how a shard gets one by its content id.

A model's id is the SHA-256 of its state, so a name can be taken, a folder copied, a disk damaged, but never can one
state pass for another. A version is made in a folder of its own and appears under its name as a whole: what was
interrupted was not registered. Reading runs no code of the state's choosing (``operators/learn/state.py`` and
``operators/model/state.py``).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from mevflow.operators.errors import StateError, UsageError
from mevflow.processes.private import private_folder, write_private

#: A state is at most so large.
MAX_BYTES = 64 << 20
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_ID = re.compile(r"[0-9a-f]{6,64}\Z")
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z")


class ModelMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a registered model. ``window``: topic -> partition -> [first offset, offset after the last]."""

    name: str
    version: int = 0
    id: str = ""
    kind: Literal["policy", "pipeline"]
    learner: str  # a policy's name, or a pipeline in words
    chain: str = ""
    target: str = ""
    arms: list[str] = []
    features: list[str] = []
    options: dict[str, float] = {}
    lessons: int = 0
    window: dict[str, dict[str, list[int]]] = {}
    seed: int = 0
    logic_version: int = 0
    metrics: dict[str, float | None] = {}
    parent: str = ""
    code: str = ""
    bytes: int = 0


class ModelRegistry:
    """The models of a folder, ``var/models``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: bytes, meta: ModelMeta) -> ModelMeta:
        """Register a state under the next version of its name; gives its meta. The same state twice is one version.

        Raises UsageError for what is no name, StateError for a state that is too large.
        """
        if not _NAME.match(meta.name):
            raise UsageError(f"{meta.name[:80]!r} is no model's name", hint="a letter, then letters, digits, - or _")
        if len(state) > MAX_BYTES:
            raise StateError(f"the state has {len(state):,} bytes, more than {MAX_BYTES:,}", key=meta.name)
        identifier = hashlib.sha256(state).hexdigest()
        versions = self.versions(meta.name)
        for known in versions:
            if known.id == identifier:
                return known
        home = private_folder(self.folder / meta.name)
        version = max((one.version for one in versions), default=0)
        while True:
            version += 1
            done = msgspec.structs.replace(meta, version=version, id=identifier, bytes=len(state))
            fresh = private_folder(home / f".{version}.{os.getpid()}")
            write_private(fresh / "state", state)
            write_private(fresh / "meta.json", msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")
            try:
                fresh.rename(home / str(version))  # fails where somebody else was faster: a version is never empty
            except OSError:
                shutil.rmtree(fresh, ignore_errors=True)
                if (home / str(version)).exists():
                    continue
                raise
            return done

    def all(self) -> list[ModelMeta]:
        """Every registered model, by name and version."""
        names = sorted(path.name for path in self.folder.glob("*") if _NAME.match(path.name))
        return [meta for name in names for meta in self.versions(name)]

    def versions(self, name: str) -> list[ModelMeta]:
        """The versions of a name, oldest first; what is no version is passed by."""
        found = [path for path in (self.folder / name).glob("*") if _VERSION.match(path.name)]
        return [self._meta(path) for path in sorted(found, key=lambda path: int(path.name))]

    def find(self, given: str) -> ModelMeta:
        """A model by ``NAME`` (its newest version), ``NAME@VERSION``, or its id or the first six or more digits of it.

        Raises UsageError when there is none, or several.
        """
        name, _, version = given.partition("@")
        if _NAME.match(name) and (self.folder / name).is_dir():
            versions = [one for one in self.versions(name) if version in ("", str(one.version))]
            if versions:
                return versions[-1]
        elif _ID.match(given):
            found = {one.id: one for one in self._readable() if one.id.startswith(given)}
            if len(found) == 1:
                return next(iter(found.values()))
            if found:
                raise UsageError(f"{len(found)} models begin with {given}", hint="give more digits")
        raise UsageError(f"there is no model {given[:80]!r} in {self.folder}", hint="mevflow model list")

    def home(self, meta: ModelMeta) -> Path:
        """The folder of one version of a model."""
        return self.folder / meta.name / str(meta.version)

    def state(self, meta: ModelMeta) -> bytes:
        """A model's state. Raises StateError unless it is the one that its id names."""
        path = self.home(meta) / "state"
        try:
            if path.stat().st_size > MAX_BYTES:
                raise StateError(f"the state has more than {MAX_BYTES:,} bytes", file=str(path))
            state = path.read_bytes()
        except OSError as error:
            raise StateError(f"the state cannot be read: {error.strerror}", file=str(path)) from None
        if hashlib.sha256(state).hexdigest() != meta.id:
            raise StateError(
                "the state is not the one that was registered", hint="restore the file, or train anew", file=str(path)
            )
        return state

    def _readable(self) -> Iterator[ModelMeta]:
        """Every model of which anything is known: who asks for one by its id wants no other."""
        for path in sorted(self.folder.glob("*/*")):
            if _NAME.match(path.parent.name) and _VERSION.match(path.name):
                with contextlib.suppress(StateError):
                    yield self._meta(path)

    def _meta(self, folder: Path) -> ModelMeta:
        path = folder / "meta.json"
        try:
            found = msgspec.json.decode(path.read_bytes(), type=ModelMeta)
            # A folder may have been copied: a model is where it lies.
            return msgspec.structs.replace(found, name=folder.parent.name, version=int(folder.name))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"what is known of the model cannot be read: {error}", file=str(path)) from None


class NamedModel(msgspec.Struct):
    """What of a model command's payload says which model gets into force."""

    id: str = ""
    state: str = ""
    candidate: str = ""
    champion: bool = False

    @property
    def learned(self) -> bool:
        """Whether it brings what was learned elsewhere."""
        return bool(self.id or self.state)

    @property
    def leads(self) -> bool:
        """Whether a candidate is to lead, whatever the evidence."""
        return bool(self.candidate) and (self.champion or not self.learned)


def named_in(payload: bytes) -> NamedModel | None:
    """Which model a payload names; None where that cannot be read, and no stage takes such a payload either.

    Who judges a command and who carries it out read it by this alone: what one of them took for something else would
    get past the other.
    """
    try:
        return msgspec.json.decode(payload, type=NamedModel)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def with_state(payload: bytes, folder: Path) -> bytes:
    """A model command's payload with the state that its ``id`` names; as it is where it has no content id, or a state.

    Raises StateError or UsageError when this host's folder has no such model, or a damaged one.
    """
    asked = named_in(payload)
    if asked is None or asked.state or not re.fullmatch(r"[0-9a-f]{64}", asked.id):
        return payload  # the stage will say what is wrong with it
    registry = ModelRegistry(folder)
    state = registry.state(registry.find(asked.id))
    whole: dict[str, Any] = msgspec.json.decode(payload)
    return json.dumps({**whole, "state": base64.b64encode(state).decode()}).encode()
