"""Control commands for the stage: another policy, the kill switch, its release."""

from __future__ import annotations

import msgspec

from operators.decide.settings import PolicySpec
from operators.errors import UsageError
from operators.stage import Ack, Command


class GateState(msgspec.Struct):
    """The policy in force and the kill switch, with the version of the last command about each."""

    spec: PolicySpec
    killed: bool = False
    switch_version: int = 0


class Gate:
    """Answers commands and holds what they set. A refused command changes nothing.

    ``policy`` carries a PolicySpec as JSON; its version is the command's and has to rise. ``kill`` latches: only
    a ``release`` whose version is not older than the kill's opens again, so an old release that is read once
    more does not.
    """

    def __init__(self, spec: PolicySpec, names: tuple[str, ...]) -> None:
        self.state = GateState(spec)
        self._names = names

    @property
    def spec(self) -> PolicySpec:
        """The policy in force."""
        return self.state.spec

    @property
    def killed(self) -> bool:
        """Whether decisions are off."""
        return self.state.killed

    def on_control(self, command: Command) -> Ack | None:
        """Apply a command; None when it is of another kind or for another stage."""
        if command.target and command.target not in (*self._names, self.spec.policy):
            return None
        if command.kind == "policy":
            return self._policy(command)
        if command.kind in ("kill", "release"):
            return self._switch(command)
        return None

    def _policy(self, command: Command) -> Ack:
        try:
            asked = msgspec.json.decode(command.payload, type=PolicySpec)
            spec = msgspec.structs.replace(asked, version=command.version)
            spec.make()
        except msgspec.MsgspecError as error:
            return Ack("REJECTED", "malformed", str(error))
        except UsageError as error:
            return Ack("REJECTED", "out_of_bounds", f"{error.key}: {error.message}")
        if spec == self.spec:
            return Ack("DUPLICATE")
        if spec.version <= self.spec.version:
            return Ack("STALE", "version", f"version {spec.version} is not above {self.spec.version}")
        self.state.spec = spec
        return Ack("APPLIED", detail=f"{spec.policy} v{spec.version}")

    def _switch(self, command: Command) -> Ack:
        kill = command.kind == "kill"
        if command.version < self.state.switch_version and not kill:
            return Ack("STALE", "version", f"a later kill has version {self.state.switch_version}")
        self.state.switch_version = max(self.state.switch_version, command.version)
        if self.state.killed == kill:
            return Ack("DUPLICATE")
        self.state.killed = kill
        return Ack("APPLIED", detail="no decisions until release" if kill else "deciding again")
