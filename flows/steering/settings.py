"""What a topology file says of its control plane: ``defaults.control``, overridden by a topology's ``control``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mevflow.flows.spec.topology import TopologyFile
from mevflow.operators.errors import UsageError


class ControlSettings(BaseModel):
    """Settings of ``control``.

    ``bootstrap`` is the broker of the control topics (default: that of ``defaults.kafka``; without either there is no
    control). ``pulse_limit_s`` is how long the control service may be silent before the kill switch engages; 0: for
    ever.
    ``signed_by`` is a folder of public keys (relative to the topology file): commands must be signed by one of them.
    ``start_s`` is how long a starting shard tries to read the commands in force before it gives up.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    enabled: bool = True
    bootstrap: str = ""
    pulse_limit_s: float = Field(default=0.0, ge=0.0, le=86_400.0)
    start_s: float = Field(default=20.0, gt=0.0, le=600.0)
    signed_by: str = ""

    @property
    def steers(self) -> bool:
        """Whether live shards take commands."""
        return self.enabled and bool(self.bootstrap)


def control_settings(file: TopologyFile, name: str) -> ControlSettings:
    """The control settings of one topology. Raises UsageError that names the wrong key."""
    given: dict[str, Any] = {**file.defaults.get("control", {}), **file.get(name).control}
    given.setdefault("bootstrap", file.defaults.get("kafka", {}).get("bootstrap", ""))
    try:
        made = ControlSettings(**given)
        if made.signed_by:
            made = made.model_copy(update={"signed_by": str(file.path.absolute().parent / made.signed_by)})
        return made
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UsageError(faults, file=str(file.path), key=f"{name}.control") from None
