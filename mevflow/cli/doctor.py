"""``mevflow doctor``: what this machine has, what is running, what to do about what is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, table
from mevflow.operators.errors import CheckFailedError, MevflowError


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Check the machine and the services. Exit code 4 when something needed is missing."""
    checks = [*_machine(), *_services()]
    if as_json:
        emit_json({"ok": all(c["ok"] or not c["needed"] for c in checks), "checks": checks})
    else:
        table(
            ["check", "", "found", "what to do"],
            [
                [c["check"], "ok" if c["ok"] else "MISSING" if c["needed"] else "off", c["found"], c["fix"]]
                for c in checks
            ],
        )
    if any(c["needed"] and not c["ok"] for c in checks):
        raise CheckFailedError("something that mevflow needs is missing")


def _check(name: str, ok: bool, found: str, fix: str, needed: bool = True) -> dict[str, Any]:
    return {"check": name, "ok": ok, "found": found, "fix": "" if ok else fix, "needed": needed}


def _machine() -> list[dict[str, Any]]:
    from mevflow.flows.config import config

    version = sys.version_info
    java = _run("java", "-version")
    major = _java_major(java)
    maven = _run("mvn", "--version")
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    var = config().var
    writable = _writable(var)
    return [
        _check(
            "python",
            (3, 11) <= version[:2] <= (3, 12),
            f"{version[0]}.{version[1]}.{version[2]}",
            "install Python 3.11 or 3.12",
        ),
        _check(
            "java",
            major >= 17,
            java.splitlines()[0] if java else "not found",
            "install a Java 17 runtime: apt-get install openjdk-17-jre-headless",
        ),
        _check(
            "maven",
            bool(maven),
            maven.splitlines()[0] if maven else "not found",
            "install Maven: apt-get install maven",
        ),
        _check("disk", free_gb > 2, f"{free_gb:.0f} GB free", "free 2 GB"),
        _check("state folder", writable, str(var.absolute()), "mend its permissions, or set MEVFLOW_VAR"),
    ]


def _services() -> list[dict[str, Any]]:
    from mevflow.flows.config import config
    from mevflow.flows.spec.preflight import broker_topics

    settings = config()
    checks = []
    try:
        topics = broker_topics(settings.kafka.bootstrap, 2.0)
        checks.append(_check("kafka", True, f"{settings.kafka.bootstrap}, {len(topics)} topics", "", needed=False))
    except MevflowError:
        checks.append(_check("kafka", False, settings.kafka.bootstrap, "mevflow broker start", needed=False))
    try:
        from mevflow.flows.demo.report import connect

        found = connect().command("SELECT version()")
        checks.append(_check("clickhouse", True, f"{settings.clickhouse.port}, engine {found}", "", needed=False))
    except MevflowError:
        address = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
        checks.append(_check("clickhouse", False, address, "mevflow clickhouse start", needed=False))
    return checks


def _run(*command: str) -> str:
    """What a program says of its version, from either stream; empty when it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.strip() or done.stderr.strip())


def _java_major(text: str) -> int:
    import re

    match = re.search(r'version "(\d+)', text)
    return int(match[1]) if match else 0


def _writable(path: Path) -> bool:
    from mevflow.processes.private import private_folder

    try:
        private_folder(path)
        probe = path / ".doctor"
        probe.touch()
        probe.unlink()
    except (OSError, MevflowError):
        return False
    return True
