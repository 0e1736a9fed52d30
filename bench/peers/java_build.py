"""The peers in Java: built by Maven on first use, and the command that runs one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mevflow.kafka.broker_files import java
from mevflow.kafka.maven import Say, made_once
from mevflow.operators.errors import CheckFailedError
from mevflow.v1 import market_pb2

#: The Maven project.
SOURCES = Path(__file__).parent / "java"
_PROTO = Path(market_pb2.__file__).resolve().with_name("market.proto")
_HEAP_MB = 2048
#: Flink keeps what it serializes with Kryo in the collections' own fields.
_OPENED = ("java.base/java.lang", "java.base/java.util", "java.base/java.time")
_LOG = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


def require_tools() -> None:
    """Raises CheckFailedError that names what to install when a compiler or Maven is missing."""
    home = os.environ.get("JAVA_HOME")
    path = os.pathsep.join(part for part in (home and f"{home}/bin", os.environ.get("PATH")) if part)
    for tool in ("javac", "mvn"):
        if shutil.which(tool, path=path) is None:
            raise CheckFailedError(
                f"the peers in Java are built by Maven with a JDK of 17 or newer, and there is no {tool} on PATH",
                hint="apt-get install openjdk-17-jdk-headless maven (Debian, Ubuntu), "
                "dnf install java-17-openjdk-devel maven (Fedora)",
            )


def jars(say: Say) -> Path:
    """The folder with the peers' jar and all that it needs. Raises MevflowError when Maven cannot build it."""
    return made_once(
        "java-peers",
        [SOURCES / "pom.xml", *sorted(SOURCES.rglob("*.java")), _PROTO],
        lambda folder: [f"-DbuildDirectory={folder}", f"-Dproto={_PROTO.parents[2]}", "package"],
        say,
        "build the peers on Flink and Kafka Streams (170 MB)",
    )


def command(folder: Path, engine: str, bootstrap: str, topic: str, messages: int, clickhouse_port: int) -> list[str]:
    """What runs one engine of ``folder`` over ``messages`` messages, twice in one process."""
    return [
        java(),
        f"-Xms{_HEAP_MB}m",
        f"-Xmx{_HEAP_MB}m",
        "-XX:+UseParallelGC",
        *(f"--add-opens={module}=ALL-UNNAMED" for module in _OPENED),
        _LOG,
        "-cp",
        f"{folder / 'peers.jar'}{os.pathsep}{folder / 'jars'}/*",
        "mevflow.peers.Main",
        engine,
        bootstrap,
        topic,
        str(messages),
        str(clickhouse_port),
    ]
