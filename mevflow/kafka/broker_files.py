"""What the embedded Kafka broker needs on disk: Java, the jars, its properties, a formatted data folder."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from string import Template

import mevflow
from mevflow.kafka.maven import Say, made_once
from mevflow.operators.errors import MevflowError
from mevflow.processes.private import UMASK, write_private

_OPS = Path(mevflow.__file__).parent / "ops" / "kafka"
_JAVA = 17


def java() -> str:
    """The path of a Java runtime that can run the broker. Raises MevflowError that says what to install."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    hint = "apt-get install openjdk-17-jre-headless (Debian, Ubuntu), dnf install java-17-openjdk-headless (Fedora)"
    if found is None:
        raise MevflowError("the Kafka broker needs Java 17 or newer, and there is no java on PATH", hint=hint)
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    major = re.search(r'version "(\d+)', said)
    if major is None or int(major[1]) < _JAVA:
        version = said.splitlines()[0] if said else "unknown"
        raise MevflowError(f"the Kafka broker needs Java 17 or newer; {found} is {version}", hint=hint)
    return found


def jars(say: Say) -> Path:
    """The folder of the broker's jars, fetched by Maven on first use; raises MevflowError as ``made_once`` does."""
    return made_once(
        "kafka",
        [_OPS / "pom.xml"],
        lambda folder: ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"],
        say,
        "fetch Apache Kafka (93 jars, 54 MB)",
    )


def classpath(folder: Path) -> list[str]:
    """Java options to run anything of the broker, logging to standard output."""
    return [f"-Dlog4j2.configurationFile={_OPS / 'log4j2.yaml'}", "-cp", f"{folder}/*"]


def prepare(home: Path, host: str, port: int, controller_port: int, java_path: str, jar_folder: Path) -> Path:
    """Write ``server.properties`` and format the data folder if it is new; give the properties' path.

    The data folder keeps its cluster id for good, whatever the ports are later.
    """
    data = home / "data"
    properties = home / "server.properties"
    text = Template((_OPS / "server.properties").read_text())
    filled = text.substitute(host=host, port=port, controller_port=controller_port, data=str(data.absolute()))
    write_private(properties, filled.encode())
    if (data / "meta.properties").exists():
        return properties
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [java_path, "-Xmx128m", *classpath(jar_folder), "kafka.tools.StorageTool", "format"]
    # One id in 64 begins with a dash: it must not stand alone.
    done = subprocess.run(
        [*command, f"--cluster-id={cluster}", "-c", str(properties)],
        capture_output=True,
        text=True,
        check=False,
        umask=UMASK,
    )
    if done.returncode:
        raise MevflowError(
            f"the broker's data folder cannot be formatted:\n{(done.stdout + done.stderr)[-1500:]}", file=str(data)
        )
    return properties
