"""What stands in the way of a deployment on this machine, beside what is there already; nothing is changed.

- :mod:`.finding`: one thing that was looked at
- :mod:`.ports`: who listens where
- :mod:`.machine`: disk, memory, limits, clock, kernel settings, versions
- :mod:`.topics`, :mod:`.schema`: what is on the broker and in ClickHouse, and what would be created
"""

from __future__ import annotations

from mevflow.flows.config import Config
from mevflow.flows.preflight.finding import PreflightFinding
from mevflow.flows.preflight.machine import look_at_machine
from mevflow.flows.preflight.ports import look_at_ports
from mevflow.flows.preflight.schema import look_at_schema
from mevflow.flows.preflight.topics import look_at_topics


def look(config: Config) -> list[PreflightFinding]:
    """Every finding, in the order of the checklist of ``docs/migrate.md``."""
    return [*look_at_ports(config), *look_at_machine(config), *look_at_topics(config), *look_at_schema(config)]
