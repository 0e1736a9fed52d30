"""Control commands for the stage: another policy, another model, and what the kill switch turns off.

Payloads are JSON and hold the full state. A refused command changes nothing; the reasons are ``malformed`` (no such
field, a wrong type), ``out_of_bounds`` (a value that no policy takes), ``bad_model`` (a learned state that does not
fit) and ``bad_target`` (a scope of the kill switch that is none).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mevflow.operators.decide.settings import MAX_ARMS, SKIP, PolicySpec
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.learn import Policy
from mevflow.operators.stage import Ack, Command
from mevflow.operators.switch import Off

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Options = Annotated[dict[_Name, float], Field(max_length=32)]


class BanditPolicyPayload(BaseModel):
    """Payload of ``policy``: which policy decides, between which tip shares, with how much exploration."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: _Name
    arms: Annotated[list[_Name], Field(min_length=2, max_length=MAX_ARMS)] = Field(
        description=f"tip shares in (0, 1] as decimal text; {SKIP!r} is last"
    )
    exploration: float = Field(gt=0.0, le=1.0, description="an eligible arm has at least this share of an equal chance")
    options: _Options = Field(default_factory=dict, description="the policy's own numbers")


class ModelPayload(BaseModel):
    """Payload of ``model``: which learner decides, and what it has learned (absent: what fits of the present one)."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: _Name
    options: _Options = Field(default_factory=dict)
    state: str = Field(default="", max_length=64 << 20, description="base64 of Policy.snapshot()")
    fresh: bool = Field(default=False, description="begin without anything learned")


class GateState(msgspec.Struct):
    """The policy in force, the last commanded versions (0: none), and what is off."""

    spec: PolicySpec
    policy_version: int = 0
    model_version: int = 0
    policy_payload: bytes = b""  # digests, to know a command that comes again
    model_payload: bytes = b""
    off: list[str] = []


class Gate:
    """Answers commands and holds what they set.

    Versions rise by kind: an older one is STALE, the same one a DUPLICATE. The topology file's own policy has no place
    in that order. ``kill`` and ``release`` bear in their payload the list of all scopes that are off from then on;
    without one they speak of their target alone. Their versions are judged by the runtime, which knows every key.
    """

    def __init__(self, spec: PolicySpec, names: tuple[str, ...]) -> None:
        self._names = names
        self.learned: bytes | None = None  # the state that the last model command brought
        self.fresh = False
        self.restore(GateState(spec))

    def restore(self, state: GateState) -> None:
        """Take a snapshot."""
        self.state = state
        self.off = Off.of(state.off)

    @property
    def spec(self) -> PolicySpec:
        """The policy in force."""
        return self.state.spec

    def on_control(self, command: Command) -> Ack | None:
        """Apply a command; None when it is of another kind or for another stage."""
        if command.kind in ("kill", "release"):
            return self._switch(command)
        if command.kind not in ("policy", "model") or (command.target and command.target not in self._names):
            return None
        held = self.state.policy_version if command.kind == "policy" else self.state.model_version
        if command.version < held:
            return Ack("STALE", "version", f"version {held} is in force")
        try:
            return self._policy(command, held) if command.kind == "policy" else self._model(command, held)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in error.errors()]
            return Ack("REJECTED", "malformed", "; ".join(faults[:8]))
        except UsageError as error:
            return Ack("REJECTED", "out_of_bounds", f"{error.key}: {error.message}")
        except StateError as error:
            return Ack("REJECTED", "bad_model", error.message)

    def _policy(self, command: Command, held: int) -> Ack:
        asked = BanditPolicyPayload.model_validate_json(command.payload)
        spec = PolicySpec(asked.policy, asked.arms, asked.exploration, asked.options, command.version)
        spec.make()
        digest = _digest(command)
        if command.version == held:
            return _again(digest == self.state.policy_payload)
        self.state.spec = spec
        self.state.policy_version, self.state.policy_payload = command.version, digest
        self.learned, self.fresh = None, False
        return Ack("APPLIED", detail=f"{spec.policy} v{spec.version}")

    def _model(self, command: Command, held: int) -> Ack:
        asked = ModelPayload.model_validate_json(command.payload)
        spec = msgspec.structs.replace(self.spec, policy=asked.policy, options=asked.options)
        policy = spec.make()
        learned = _unpacked(asked.state) if asked.state else None
        if learned is not None:
            _take(policy, learned)
        digest = _digest(command)
        if command.version == held:
            return _again(digest == self.state.model_payload)
        self.state.spec = spec
        self.state.model_version, self.state.model_payload = command.version, digest
        self.learned, self.fresh = learned, asked.fresh
        return Ack("APPLIED", detail=f"{spec.policy}, model version {policy.updates}")

    def _switch(self, command: Command) -> Ack:
        try:
            scopes = self._scopes(command)
            off = Off.of(scopes)
        except ValueError as error:
            return Ack("REJECTED", "bad_target", str(error))
        if scopes == self.state.off:
            return Ack("DUPLICATE")
        self.state.off, self.off = scopes, off
        return Ack(
            "APPLIED", detail="no decisions until release" if off.everything else f"{len(scopes)} scopes are off"
        )

    def _scopes(self, command: Command) -> list[str]:
        """Every scope that is off from now on, sorted."""
        if command.payload:
            try:
                given: Any = json.loads(command.payload)
            except (ValueError, RecursionError):
                raise ValueError("the payload is not JSON") from None
            if not isinstance(given, list) or not all(isinstance(scope, str) for scope in given):
                raise ValueError("the payload is not a list of scopes")
            return sorted(set(given))
        if command.kind == "kill":
            return sorted({*self.state.off, command.target})
        return [scope for scope in self.state.off if scope != command.target]


def _digest(command: Command) -> bytes:
    return hashlib.blake2b(command.payload, digest_size=16).digest()


def _again(same: bool) -> Ack:
    return Ack("DUPLICATE") if same else Ack("REJECTED", "version_taken", "another command has this version")


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise StateError(f"the state is not base64: {error}") from None


def _take(policy: Policy, learned: bytes) -> None:
    """Restore a state that came from outside. Raises StateError when it would not work."""
    shapes = {name: (getattr(policy, name).shape, getattr(policy, name).dtype) for name in policy.state_names}
    try:
        policy.restore(learned)
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"the state is unreadable: {error}") from None
    for name, (shape, dtype) in shapes.items():
        array = getattr(policy, name)
        if array.shape != shape or array.dtype != dtype:
            raise StateError(f"{name} is {array.dtype}{list(array.shape)}, not {dtype}{list(shape)}")
        if not np.isfinite(array).all():
            raise StateError(f"{name} holds a value that is not finite")


def learner(spec: PolicySpec, former: PolicySpec, policy: Policy, gate: Gate) -> Policy:
    """The policy object for ``spec``: what the command brought, else what ``policy`` learned where it fits."""
    made = spec.make()
    if gate.learned is not None:
        made.restore(gate.learned)
    elif spec.policy == former.policy and spec.arms == former.arms and not gate.fresh:
        made.restore(policy.snapshot())
    return made
