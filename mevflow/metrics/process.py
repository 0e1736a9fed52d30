"""What every process has: memory, processor time, descriptors, collections, versions."""

from __future__ import annotations

import gc
import os
import platform
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mevflow.metrics.page import Page

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@cache
def _version() -> str:
    return version("mevflow")


@cache
def _started_s() -> float:
    """When this process started, by the kernel's count since boot."""
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime_s + int(_stat()[19]) * _TICK_S


def _stat() -> list[str]:
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()


def tell(page: Page) -> None:
    """Put what this process is."""
    page.info("mevflow_build", version=_version(), python=platform.python_version())
    stat = _stat()
    page.put("mevflow_process_cpu_seconds", (int(stat[11]) + int(stat[12])) * _TICK_S)
    page.put("mevflow_process_resident_memory_bytes", int(stat[21]) * _PAGE_BYTES)
    page.put("mevflow_process_threads", int(stat[17]))
    page.put("mevflow_process_open_fds", len(os.listdir("/proc/self/fd")))
    page.put("mevflow_process_start_time_seconds", _started_s())
    for generation, counts in enumerate(gc.get_stats()):
        page.put("mevflow_gc_collections", counts["collections"], generation=generation)
