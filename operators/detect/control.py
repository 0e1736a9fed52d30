"""What an operator may change while the detector runs: which cycles, the profit asked for, what they cost, what is out.

The payload of a ``policy`` command is JSON and holds the full state: what it leaves out is as the topology file and the
registry say. A refused command changes nothing; the reasons are ``malformed`` (no such field, a wrong type),
``out_of_bounds``, ``bad_address`` and ``version_taken``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mevflow.operators.addresses import address
from mevflow.operators.chains import number_of
from mevflow.operators.detect.costs import CostModel
from mevflow.operators.detect.settings import DetectSettings, Registry
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.stage import Ack, Command, StageContext

_TARGETS = ("", "arbitrage.detect", "detect")
_MAX_LISTED, _MAX_HUBS = 100_000, 64
_BOUNDS = frozenset(
    (
        *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
        *("finite_number", "too_long", "too_short"),
    )
)


def _address(text: str) -> str:
    try:
        address(text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is neither base58 nor 0x-hex") from error
    return text


def _hub(text: str) -> str:
    try:
        _on_chain(text)
    except (ValueError, UsageError) as error:
        raise ValueError(f"{text[:80]!r} is neither ADDRESS nor CHAIN:ADDRESS") from error
    return text


_Hubs = Annotated[list[Annotated[str, AfterValidator(_hub)]], Field(max_length=_MAX_HUBS)]
_Addresses = Annotated[list[Annotated[str, AfterValidator(_address)]], Field(max_length=_MAX_LISTED)]


class DetectPolicyPayload(BaseModel):
    """Payload of ``policy``; addresses are base58 (Solana) or 0x-hex (EVM).

    A hub in hex is Ethereum's unless its chain stands before it: ``base:0x…``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_profit_usd: float = Field(ge=0.0, le=1e9, allow_inf_nan=False, description="asked of the gross profit")
    max_hops: int | None = Field(None, ge=2, le=4, description="longest cycle; absent: the topology file's")
    hubs: _Hubs | None = Field(
        None, description="mints that cycles of three and four legs go through; absent: registry"
    )
    deny_pools: _Addresses = Field([], description="pools that are left out")
    deny_mints: _Addresses = Field([], description="mints all of whose pools are left out")
    costs: CostModel | None = Field(None, description="what an attempt costs; absent: the topology file's")


class _State(msgspec.Struct):
    version: int
    payload: bytes


class DetectPolicy:
    """The present policy; ``version`` 0 is the topology file's own."""

    def __init__(self, settings: DetectSettings, registry: Registry, context: StageContext) -> None:
        self.context, self._settings = context, settings
        self._hubs = [token.key for token in registry.tokens if token.role != "token"]
        own = DetectPolicyPayload(
            min_profit_usd=settings.min_profit_usd,
            deny_pools=list(registry.deny_pools),
            deny_mints=list(registry.deny_mints),
        )
        self._adopt(0, own)

    def _adopt(self, version: int, spec: DetectPolicyPayload) -> None:
        self.version, self.spec = version, spec
        self.min_profit_usd = spec.min_profit_usd
        self.max_hops = spec.max_hops or self._settings.max_hops
        self.costs = spec.costs or self._settings.costs
        self.hubs = self._hubs if spec.hubs is None else [_on_chain(text) for text in spec.hubs]
        self._pools = {address(text) for text in spec.deny_pools}
        self._mints = {address(text) for text in spec.deny_mints}

    def denies(self, chain: int, pool: bytes, mints: Iterable[bytes]) -> bool:
        """Whether a pool is left out, by itself or for one of its mints."""
        return pool in self._pools or any(mint in self._mints for mint in mints)

    def on_control(self, command: Command) -> Ack | None:
        """Apply a ``policy`` command that is for the detector; a rejected one changes nothing."""
        if command.kind != "policy" or command.target not in (*_TARGETS, self.context.node):
            return None
        if command.version < self.version:
            return Ack("STALE", "version", f"version {self.version} is in force")
        try:
            spec = DetectPolicyPayload.model_validate_json(command.payload)
        except ValidationError as error:
            return Ack("REJECTED", *_why(error))
        if command.version == self.version:
            same = spec == self.spec
            return Ack("DUPLICATE") if same else Ack("REJECTED", "version_taken", "another policy has this version")
        self._adopt(command.version, spec)
        return Ack("APPLIED")

    def snapshot(self) -> bytes:
        """Version and spec."""
        return msgspec.msgpack.encode(_State(self.version, self.spec.model_dump_json(exclude_none=True).encode()))

    def restore(self, state: bytes) -> None:
        """A policy that a command set stays in force; the file's own follows the file."""
        try:
            saved = msgspec.msgpack.decode(state, type=_State)
            spec = DetectPolicyPayload.model_validate_json(saved.payload)
        except (msgspec.DecodeError, ValidationError) as error:
            raise StateError("the detector's policy cannot be read", hint="deploy with --fresh") from error
        if saved.version > 0:
            self._adopt(saved.version, spec)


def _on_chain(text: str) -> tuple[int, bytes]:
    """Chain and address of ``CHAIN:ADDRESS``; of ``ADDRESS``, where hex is Ethereum's and base58 Solana's."""
    name, _, written = text.rpartition(":")
    return number_of(name or ("ethereum" if written[:2] in ("0x", "0X") else "solana")), address(written)


def _why(error: ValidationError) -> tuple[str, str]:
    """Reason and detail of a payload that is none."""
    faults = error.errors()
    detail = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in faults[:8])
    kinds = {fault["type"] for fault in faults}
    if kinds <= _BOUNDS:
        return "out_of_bounds", detail
    return ("bad_address" if kinds == {"value_error"} else "malformed"), detail
