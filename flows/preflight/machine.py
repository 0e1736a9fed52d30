"""Disk, memory, limits, clock, kernel settings and versions of this machine."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import mevflow
from mevflow.flows.config import Config
from mevflow.flows.preflight.finding import PreflightFinding, Verdict
from mevflow.operators.errors import MevflowError
from mevflow.processes.private import private_folder

_GIB = 1 << 30
#: Two recorded days need less than one; a topic keeps up to 4 GiB a partition.
_NEEDED_DISK, _GOOD_DISK = 2 * _GIB, 50 * _GIB
#: Beside the broker's heap: an engine, a shard, the control service, each measured below one.
_NEEDED_MEMORY = 2 * _GIB
_GOOD_FILES = 65_536
_NEEDED_FILES = 1024
#: adjtimex(2): the clock is not synchronised; its answer needs at most so many bytes.
_TIME_ERROR, _TIMEX_BYTES = 5, 256
_SYSCTL = Path(mevflow.__file__).parent / "ops" / "sysctl" / "90-mevflow.conf"
_AREA = "machine"


def look_at_machine(config: Config) -> list[PreflightFinding]:
    """Findings for this machine; what needs root to be changed is never ``blocked`` unless nothing would run."""
    return [
        _state_folder(config.var),
        _disk(config.var),
        _memory(config.kafka.heap_mb << 20),
        _files(),
        _clock(),
        _kernel(),
        _python(),
        _java(),
    ]


def _state_folder(var: Path) -> PreflightFinding:
    above = next(folder for folder in (var, *var.parents) if folder.exists())
    if not os.access(above, os.W_OK):
        return PreflightFinding(
            _AREA, "state folder", "blocked", f"{above} cannot be written", "set MEVFLOW_VAR to another"
        )
    if not var.exists():
        return PreflightFinding(_AREA, "state folder", "create", str(var))
    try:
        private_folder(var)
    except (MevflowError, OSError) as error:
        return PreflightFinding(
            _AREA, "state folder", "blocked", f"{var}: {error}", "set MEVFLOW_VAR to one of your own"
        )
    return PreflightFinding(_AREA, "state folder", "ok", str(var))


def _disk(var: Path) -> PreflightFinding:
    folder = next(each for each in (var, *var.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    advice = f"free {_NEEDED_DISK // _GIB} GiB, or set MEVFLOW_VAR to a folder on another disk"
    verdict = _levels(free, _NEEDED_DISK, _GOOD_DISK)
    return PreflightFinding(
        _AREA, "disk", verdict, f"{free / _GIB:.1f} GiB free at {folder}", "" if verdict == "ok" else advice
    )


def _memory(heap_bytes: int) -> PreflightFinding:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)
    verdict = _levels(available, _NEEDED_MEMORY + heap_bytes, 2 * _NEEDED_MEMORY + heap_bytes)
    advice = "stop something, or let the broker have less: MEVFLOW_KAFKA__HEAP_MB=384"
    return PreflightFinding(
        _AREA, "memory", verdict, f"{available / _GIB:.1f} GiB available", "" if verdict == "ok" else advice
    )


def _files() -> PreflightFinding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict = _levels(soft, _NEEDED_FILES, _GOOD_FILES)
    raised = f"ulimit -n {min(hard, _GOOD_FILES)}" if soft < hard else "raise it in /etc/security/limits.d"
    advice = f"{raised}; the units of ops/systemd set it"
    return PreflightFinding(
        _AREA, "open files", verdict, f"{soft:,} (at most {hard:,})", "" if verdict == "ok" else advice
    )


def _clock() -> PreflightFinding:
    answer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(answer) == _TIME_ERROR:
        advice = "run chrony or systemd-timesyncd: commands carry times, and leases are judged by them"
        return PreflightFinding(_AREA, "clock", "note", "the kernel says that it is not synchronised", advice)
    return PreflightFinding(_AREA, "clock", "ok", "synchronised")


def _kernel() -> PreflightFinding:
    """Against ``ops/sysctl``: numbers that are lower, words that are others."""
    short = []
    for name, wanted in re.findall(r"^([a-z0-9_.]+) = (.+)$", _SYSCTL.read_text(), re.MULTILINE):
        try:
            now = " ".join(Path("/proc/sys", *name.split(".")).read_text().split())
        except OSError:
            continue
        if name == "vm.swappiness":
            continue
        if now.isdigit() and wanted.isdigit():
            if int(now) < int(wanted):
                short.append(f"{name} = {now}")
        elif not wanted[0].isdigit() and now != wanted:
            short.append(f"{name} = {now}")
    if not short:
        return PreflightFinding(_AREA, "kernel", "ok", "as in ops/sysctl")
    advice = "for hundreds of thousands of messages a second: ops/sysctl/90-mevflow.conf to /etc/sysctl.d/"
    return PreflightFinding(_AREA, "kernel", "note", ", ".join(short), advice)


def _python() -> PreflightFinding:
    here = sys.version_info
    fits = (3, 11) <= here[:2] <= (3, 12)
    return PreflightFinding(
        _AREA, "Python", "ok" if fits else "blocked", f"{here[0]}.{here[1]}.{here[2]}", "" if fits else "3.11 or 3.12"
    )


def _java() -> PreflightFinding:
    path = shutil.which("java")
    if path is None:
        return PreflightFinding(
            _AREA, "Java", "note", "not found", "the embedded broker needs 17; a broker of your own does not"
        )
    said = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    major = re.search(r'version "(\d+)', said)
    if major is None or int(major[1]) < 17:
        return PreflightFinding(
            _AREA, "Java", "note", said.splitlines()[0] if said else "?", "the embedded broker needs 17"
        )
    return PreflightFinding(_AREA, "Java", "ok", major[1])


def _levels(value: int, needed: int, good: int) -> Verdict:
    return "blocked" if value < needed else "note" if value < good else "ok"
