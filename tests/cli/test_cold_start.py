"""What a command that only reads the configuration does not wait for: each of these takes from a fortieth of a second
to a whole one to import. A budget in seconds would hang on the machine; a list of modules does not."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    "asyncio",
    "ssl",
    "pydantic_settings",
    "urllib3",
    "prometheus_client",
    "numpy",
    "pyarrow",
    "numba",
    "confluent_kafka",
    "clickhouse_connect",
    "grpc",
)
TELL = "import sys; print(*(name for name in {heavy!r} if name in sys.modules))"


@pytest.mark.parametrize("modules", ["mevflow.cli", "mevflow.flows.config, mevflow.flows.runtime.status"])
def test_status_and_help_load_no_clients_and_no_columns(modules):
    code = f"import {modules}; {TELL.format(heavy=HEAVY)}"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.split() == []


@pytest.mark.parametrize("words", [["status"], ["status", "detect-live", "--json"], ["--version"]])
def test_a_short_command_that_ran_has_loaded_none_of_them(words, tmp_path):
    (tmp_path / "run" / "detect-live").mkdir(parents=True)
    stopped = {"pid": 1, "started": 0, "state": "stopped", "shards": [{"shard": 0, "pid": None}]}
    (tmp_path / "run" / "detect-live" / "supervisor.json").write_text(json.dumps(stopped))
    code = f"from mevflow.cli import cli; cli.main({words!r}, standalone_mode=False); {TELL.format(heavy=HEAVY)}"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "MEVFLOW_VAR": str(tmp_path)},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == ""


def test_a_few_messages_are_read_before_the_compiler_is_loaded():
    read = "from mevflow.operators.codec import codec; import pyarrow; "
    read += "codec('mevflow.v1.Swap').decode(pyarrow.array([b'\\x10\\x05'] * 20, pyarrow.binary())); "
    code = read + TELL.format(heavy=("numba",))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.split() == []
