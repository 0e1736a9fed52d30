"""The endpoints that are functions, of every part."""

from __future__ import annotations

from mevflow.control.gateway.endpoints import (
    dead_letters,
    grafana,
    lab,
    messages,
    replays,
    running,
    topology_views,
    training,
)

ENDPOINTS = (
    *messages.ENDPOINTS,
    *dead_letters.ENDPOINTS,
    *running.ENDPOINTS,
    *replays.ENDPOINTS,
    *training.ENDPOINTS,
    *topology_views.ENDPOINTS,
    *lab.ENDPOINTS,
    *grafana.ENDPOINTS,
)
