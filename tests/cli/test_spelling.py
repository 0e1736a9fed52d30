"""A command has one spelling; former ones still work, and no help shows them."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.cli.control import command as control

ROOT = Path(__file__).resolve().parents[2]
FORMER = {name for name, command in control.commands.items() if command.hidden}


def test_former_spellings_are_the_same_commands():
    shown = {
        "policy": {"status", "validate", "plan", "apply", "rollback", "history", "watch"},
        "model": {"swap", "list"},
    }
    for group, names in shown.items():
        help_text = CliRunner().invoke(cli, [group, "--help"]).output
        assert all(re.search(rf"^  {name} ", help_text, re.M) for name in names), help_text
    assert shown["policy"] | {"model", "kill", "release"} == FORMER


@pytest.mark.parametrize("name", sorted(FORMER))
def test_no_help_shows_a_former_spelling(name):
    assert not re.search(rf"^  {name} ", CliRunner().invoke(cli, ["control", "--help"]).output, re.M)
    assert CliRunner().invoke(cli, ["control", name, "--help"]).exit_code == 0


def test_no_page_teaches_a_former_spelling():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "web" / "src").rglob("*.svelte")]
    former = re.compile(rf"mevflow control ({'|'.join(sorted(FORMER))})\b")
    assert [str(page) for page in pages if former.search(page.read_text())] == []
