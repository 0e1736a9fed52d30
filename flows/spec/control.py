"""What a topology file says of its control plane: ``defaults.control``, overridden by a topology's ``control``."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mevflow.flows.spec.topology import TopologyFile
from mevflow.flows.steering.settings import ControlSettings
from mevflow.operators.errors import UsageError


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
