"""Settings of ``kafka.source``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from mevflow.operators.stage import Settings


class KafkaSourceSettings(Settings):
    """Settings of ``kafka.source``.

    ``start`` matters only without recovery state; ``committed`` falls back to the earliest offset where the group has
    none. ``start_offsets`` override it by partition. ``stop_offsets`` (exclusive) make the source bounded: it reads
    just these partitions and ends. ``partitions`` limits a live source to some; ``share`` (n, of) to those whose number
    modulo ``of`` is n (set by the runtime where shards divide a topic). ``on_gap`` says what to do when the
    log has lost the offset to resume at. ``settle_ms`` is how long a partition must have been at its end before it no
    longer holds back the watermark: 0 gives the lowest latency, more keeps the order of a producer that is behind. The
    broker answers a fetch once it has ``fetch_min_bytes``, or after ``fetch_wait_ms``. ``queue_kib`` bounds what is
    fetched ahead, for each partition.
    """

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "latency": {"fetch_min_bytes": 1},
        "throughput": {"fetch_min_bytes": 1_000_000, "fetch_wait_ms": 50},
    }

    bootstrap: str = "127.0.0.1:9092"
    topic: str
    start: Literal["earliest", "latest", "committed"] = "latest"
    start_offsets: dict[int, int] | None = None
    stop_offsets: dict[int, int] | None = None
    partitions: list[int] | None = None
    share: tuple[int, int] = (0, 1)
    group: str = ""
    on_gap: Literal["fail", "earliest"] = "fail"
    max_rows: int = Field(20_000, ge=1, le=200_000)
    fetch_min_bytes: int = Field(50_000, ge=1, le=4_194_304)
    fetch_wait_ms: int = Field(5, ge=0, le=10_000)
    queue_kib: int = Field(16_384, ge=1024)
    settle_ms: int = Field(0, ge=0)
