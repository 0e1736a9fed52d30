"""``mevflow install systemd``: says what it would write, writes it once, and names the program that is there."""

import json

import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.operators.errors import UsageError


def install(root, *words):
    done = CliRunner().invoke(
        cli, ["install", "systemd", "--root", str(root), "--json", *words], catch_exceptions=False
    )
    return {row["path"].removeprefix(str(root)): row["action"] for row in json.loads(done.stdout)["files"]}


def test_units_user_and_kernel_settings(tmp_path):
    program = ("--program", "/srv/mevflow/bin/mevflow")
    planned = install(tmp_path, "--dry-run", *program)
    assert set(planned.values()) == {"create"}
    assert planned.keys() > {
        "/etc/systemd/system/mevflow@.service",
        "/etc/systemd/system/mevflow.target",
        "/etc/sysusers.d/mevflow.conf",
        "/etc/sysctl.d/90-mevflow.conf",
    }
    assert list(tmp_path.iterdir()) == []
    assert install(tmp_path, *program) == planned
    unit = tmp_path / "etc/systemd/system/mevflow@.service"
    assert "ExecStart=/srv/mevflow/bin/mevflow deploy %i --foreground" in unit.read_text()
    unit.write_text("changed")
    again = install(tmp_path, *program)
    assert again.pop("/etc/systemd/system/mevflow@.service") == "update"
    assert set(again.values()) == {"same"}


def test_a_relative_program_is_refused(tmp_path):
    with pytest.raises(UsageError, match="absolute path"):
        CliRunner().invoke(cli, ["install", "systemd", "--program", "bin/mevflow"], catch_exceptions=False)
