"""The settings under which a shard is steered."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
