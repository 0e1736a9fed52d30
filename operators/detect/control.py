"""What an operator may change while the detector runs: the profit asked for, and what is left out."""

from __future__ import annotations

import msgspec

from operators.detect.settings import DetectSettings, Registry, address
from operators.errors import StateError
from operators.stage import Ack, Command, StageContext

_TARGETS = ("", "arbitrage.detect", "detect")
_MAX_LISTED = 100_000


class _Spec(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of a ``policy`` command: the full state."""

    min_profit_usd: float
    deny_pools: list[str] = []
    deny_mints: list[str] = []


class _State(msgspec.Struct):
    version: int
    spec: _Spec


class Policy:
    """The present policy; ``version`` 0 is the topology file's own."""

    def __init__(self, spec: _Spec, context: StageContext) -> None:
        self.context = context
        self._adopt(0, spec)

    @classmethod
    def of(cls, settings: DetectSettings, registry: Registry, context: StageContext) -> Policy:
        """What the settings and the registry say."""
        spec = _Spec(settings.min_profit_usd, list(registry.deny_pools), list(registry.deny_mints))
        return cls(spec, context)

    def _adopt(self, version: int, spec: _Spec) -> None:
        self.version, self.spec = version, spec
        self.min_profit_usd = spec.min_profit_usd
        self._pools = {address(text) for text in spec.deny_pools}
        self._mints = {address(text) for text in spec.deny_mints}

    def denies(self, chain: int, pool: bytes, *mints: bytes) -> bool:
        """Whether a pool is left out, by itself or for one of its mints."""
        return pool in self._pools or any(mint in self._mints for mint in mints)

    def on_control(self, command: Command) -> Ack | None:
        """Apply a ``policy`` command that is for the detector; a rejected one changes nothing."""
        if command.kind != "policy" or command.target not in (*_TARGETS, self.context.node):
            return None
        if command.version < self.version:
            return Ack("STALE", "OLD_VERSION", f"version {self.version} is in force")
        try:
            spec = msgspec.json.decode(command.payload, type=_Spec)
        except msgspec.DecodeError as error:
            return Ack("REJECTED", "BAD_PAYLOAD", str(error))
        if command.version == self.version:
            same = spec == self.spec
            return Ack("DUPLICATE") if same else Ack("REJECTED", "VERSION_TAKEN", "another policy has this version")
        if not 0 <= spec.min_profit_usd <= 1e9:
            return Ack("REJECTED", "OUT_OF_BOUNDS", "min_profit_usd is between 0 and 1e9")
        if len(spec.deny_pools) + len(spec.deny_mints) > _MAX_LISTED:
            return Ack("REJECTED", "OUT_OF_BOUNDS", f"at most {_MAX_LISTED:,} addresses are listed")
        try:
            for text in (*spec.deny_pools, *spec.deny_mints):
                address(text)
        except ValueError as error:
            return Ack("REJECTED", "BAD_ADDRESS", str(error))
        self._adopt(command.version, spec)
        return Ack("APPLIED")

    def snapshot(self) -> bytes:
        """Version and spec."""
        return msgspec.msgpack.encode(_State(self.version, self.spec))

    def restore(self, state: bytes) -> None:
        """A policy that a command set stays in force; the file's own follows the file."""
        try:
            saved = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise StateError("the detector's policy cannot be read", hint="deploy with --fresh") from error
        if saved.version > 0:
            self._adopt(saved.version, saved.spec)
