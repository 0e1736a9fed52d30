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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mevflow.operators.chains import checked_name, name_of, number_of, one_name
from mevflow.operators.decide.settings import SKIP, PolicySpec
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.learn import POLICIES, Policy
from mevflow.operators.learn.probe import probe
from mevflow.operators.learn.state import MAX_ARMS, MAX_UPDATES, decode
from mevflow.operators.stage import OF_CHAIN, Ack, Command
from mevflow.operators.switch import Off

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Options = Annotated[dict[_Name, float], Field(max_length=32)]


class BanditPolicyPayload(BaseModel):
    """Payload of ``policy``: which policy decides, between which tip shares, with how much exploration."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: _Name = Field(examples=list(POLICIES))
    arms: Annotated[list[_Name], Field(min_length=2, max_length=MAX_ARMS)] = Field(
        description=f"tip shares in (0, 1] as decimal text; {SKIP!r} is last"
    )
    exploration: float = Field(gt=0.0, le=1.0, description="an eligible arm has at least this share of an equal chance")
    exploration_hold: int = Field(
        default=4, ge=0, le=MAX_UPDATES, description="rewards after which exploration falls as 1/sqrt; 0: it never does"
    )
    options: _Options = Field(default_factory=dict, description="the policy's own numbers")
    warm: Annotated[dict[_Name, _Name], Field(max_length=MAX_ARMS)] = Field(
        default_factory=dict, description="a new arm -> the former arm whose lessons it begins with"
    )


class ModelPayload(BaseModel):
    """Payload of ``model``: which learner decides, and what it has learned (absent: what fits of the present one)."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: _Name
    options: _Options = Field(default_factory=dict)
    id: str = Field(default="", pattern="^([0-9a-f]{64})?$", description="content id of the state, from the registry")
    state: str = Field(default="", max_length=96 << 20, description="base64 of Policy.snapshot()")
    fresh: bool = Field(default=False, description="begin without anything learned")
    chain: str = Field(
        default="", max_length=64, description="the chain that it is for; absent: the one that taught the state, or all"
    )

    @field_validator("chain")
    @classmethod
    def _known_chain(cls, name: str) -> str:
        return checked_name(name) if name else name


class GateState(msgspec.Struct, frozen=True):
    """The policy in force, the last commanded versions (0: none), and what is off.

    ``models`` are chains whose learner a model command has set: there its policy and options go before ``spec``'s.
    ``chain_models`` are version and digest of the last model command whose target named a chain (``decided@solana``);
    those of commands that named none are ``model_version`` and ``model_payload``.
    """

    spec: PolicySpec
    policy_version: int = 0
    model_version: int = 0
    policy_payload: bytes = b""  # digests, to know a command that comes again
    model_payload: bytes = b""
    off: list[str] = []
    models: dict[int, PolicySpec] = {}
    model_ids: dict[int, bytes] = {}
    chain_models: dict[str, tuple[int, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Change:
    """What a command would change: the gate's state, and on ``chains`` the learner.

    ``learned`` is a state to begin from (None: what fits of the present one, or nothing when ``fresh``).
    """

    state: GateState
    ack: Ack
    chains: tuple[int, ...] = ()
    learned: bytes | None = None
    fresh: bool = False
    warm: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """Judges commands and holds what they set; judging changes nothing.

    Versions rise by kind: an older one is STALE, the same one a DUPLICATE. The topology file's own policy has no place
    in that order. ``kill`` and ``release`` bear in their payload the list of all scopes that are off from then on;
    without one they speak of their target alone. Their versions are judged by the runtime, which knows every key.
    """

    def __init__(self, spec: PolicySpec, names: tuple[str, ...], chains: tuple[int, ...]) -> None:
        self._names = names
        self._chains = chains  # that have rules
        self.commit(GateState(spec))

    def commit(self, state: GateState) -> None:
        """Take a change's state, or a snapshot."""
        self.state = state
        self.off = Off.of(state.off)

    def spec(self, chain: int) -> PolicySpec:
        """The policy in force on a chain."""
        return self.state.models.get(chain, self.state.spec)

    def judge(self, command: Command) -> Ack | Change | None:
        """What a command changes, or the answer to one that changes nothing; None when it is for somebody else."""
        if command.kind in ("kill", "release"):
            return self._switch(command)
        target, _, chain = command.target.partition(OF_CHAIN)
        if command.kind not in ("policy", "model") or (target and target not in self._names):
            return None
        try:
            chain = one_name(chain) if chain else ""
            held, held_payload = self._held(command.kind, chain)
            if command.version < held:
                return Ack("STALE", "version", f"version {held} is in force")
            if command.kind == "policy":
                return self._policy(command, held)
            return self._model(command, held, held_payload, chain)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in error.errors()]
            return Ack("REJECTED", "malformed", "; ".join(faults[:8]))
        except UsageError as error:
            return Ack("REJECTED", "out_of_bounds", f"{error.key}: {error.message}")
        except StateError as error:
            return Ack("REJECTED", "bad_model", error.message)

    def _held(self, kind: str, chain: str) -> tuple[int, bytes]:
        """Version and digest of the last command that set what such a one would set."""
        if kind == "policy":
            return self.state.policy_version, self.state.policy_payload
        if chain:
            return self.state.chain_models.get(chain, (0, b""))
        return self.state.model_version, self.state.model_payload

    def _policy(self, command: Command, held: int) -> Ack | Change:
        asked = BanditPolicyPayload.model_validate_json(command.payload)
        spec = PolicySpec(
            asked.policy,
            asked.arms,
            asked.exploration,
            asked.options,
            command.version,
            asked.exploration_hold,
            self.state.spec.features,
        )
        spec.make()
        for new, former in asked.warm.items():
            if new not in spec.arms or former not in self.state.spec.arms:
                raise UsageError(f"{new!r} cannot begin with what {former!r} learned: no such arm", key="warm")
        digest = _digest(command)
        if command.version == held:
            return _again(digest == self.state.policy_payload)
        state = msgspec.structs.replace(
            self.state, spec=spec, policy_version=command.version, policy_payload=digest, models={}, model_ids={}
        )
        return Change(state, Ack("APPLIED", detail=f"{spec.policy} v{spec.version}"), self._chains, warm=asked.warm)

    def _model(self, command: Command, held: int, held_payload: bytes, of_chain: str) -> Ack | Change:
        asked = ModelPayload.model_validate_json(command.payload)
        if of_chain and asked.chain and one_name(asked.chain) != of_chain:
            raise UsageError(f"the target is {of_chain}'s, the payload is for {asked.chain}", key="chain")
        learned = _unpacked(asked.state) if asked.state else None
        check_id(asked.id, learned)
        chains, updates = self._chains, 0
        if learned is not None:
            saved = decode(learned, asked.policy)
            chains, updates = (saved.chain,) if saved.chain else self._chains, saved.updates
        if of_chain or asked.chain:
            chains = (number_of(of_chain or asked.chain),)
        if not set(chains) <= set(self._chains):
            raise StateError(f"it is for {name_of(chains[0])}, a chain that this stage has no rules for")
        specs = {
            chain: msgspec.structs.replace(self.spec(chain), policy=asked.policy, options=asked.options)
            for chain in chains
        }
        for spec in specs.values():
            spec.make()
        digest = _digest(command)
        if command.version == held:
            return _again(digest == held_payload)
        identifier = hashlib.sha256(learned).digest() if learned is not None else b""
        last: dict[str, Any] = {"model_version": command.version, "model_payload": digest}
        if of_chain:
            last = {"chain_models": {**self.state.chain_models, of_chain: (command.version, digest)}}
        state = msgspec.structs.replace(
            self.state,
            **last,
            models={**self.state.models, **specs},
            model_ids={**self.state.model_ids, **dict.fromkeys(chains, identifier)},
        )
        ack = Ack("APPLIED", detail=f"{asked.policy}, model version {updates}")
        return Change(state, ack, chains, learned, asked.fresh)

    def _switch(self, command: Command) -> Ack | Change:
        try:
            scopes = self._scopes(command)
            off = Off.of(scopes)
        except ValueError as error:
            return Ack("REJECTED", "bad_target", str(error))
        if scopes == self.state.off:
            return Ack("DUPLICATE")
        said = "no decisions until release" if off.everything else f"{len(scopes)} scopes are off"
        return Change(msgspec.structs.replace(self.state, off=scopes), Ack("APPLIED", detail=said))

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


def check_id(identifier: str, state: bytes | None) -> None:
    """Raises StateError unless ``state`` is the one whose content id ``identifier`` is; an empty one is any's."""
    if identifier and state is None:
        raise StateError(f"no state came with the id {identifier[:12]}", hint="mevflow model list")
    if identifier and state is not None and hashlib.sha256(state).hexdigest() != identifier:
        raise StateError(f"the state is not that of the id {identifier[:12]}")


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise StateError(f"the state is not base64: {error}") from None


def learner(spec: PolicySpec, former: Policy, change: Change) -> Policy:
    """The policy for ``spec``: with what the command brought, else with what ``former`` learned where that fits.

    Raises StateError when what the command brought cannot be decided with.
    """
    made = spec.make()
    if change.learned is not None:
        made.restore(change.learned)
        probe(made)
        return made
    return made if change.fresh else inherit(spec, former, change.warm)


def inherit(spec: PolicySpec, former: Policy, warm: Mapping[str, str]) -> Policy:
    """A policy for ``spec`` with what ``former`` learned, arm by arm; fresh where nothing of it fits."""
    made = spec.make()
    if former.name != made.name:
        return made
    try:
        made.restore(former.snapshot(), warm)
        probe(made)
    except StateError:
        return spec.make()
    return made
