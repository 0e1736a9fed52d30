"""What the documentation shows works: Python blocks run, YAML blocks are read, commands and their options exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from mevflow.cli import cli
from tests.docs.blocks import ROOT, Block, blocks

BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]
COMMANDS = [
    (block, line)
    for block in BLOCKS
    if block.language in ("", "bash", "sh")
    for line in block.text.splitlines()
    if re.match(r"(\.venv/bin/)?mevflow [a-z]", line) and not line.startswith("mevflow is")
]


@pytest.mark.parametrize("block", [b for b in PYTHON if not b.why_not], ids=lambda block: block.where)
def test_python_block_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [b for b in PYTHON if b.why_not], ids=lambda block: block.where)
def test_the_imports_of_a_block_that_is_not_run_work(block: Block) -> None:
    imports = [node for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports
    exec(compile(ast.Module(imports, []), block.where, "exec"), {})


def test_every_bash_block_is_of_commands_or_marked() -> None:
    known = {block.where for block, _ in COMMANDS}
    silent = [b.where for b in BLOCKS if b.language == "bash" and not b.why_not and b.where not in known]
    assert silent == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in ("yaml", "toml")], ids=lambda block: block.where)
def test_settings_can_be_read(block: Block) -> None:
    if block.language == "yaml":
        assert YAML(typ="safe").load(block.text)
    else:
        import tomllib

        assert tomllib.loads(block.text)


@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=lambda value: value.where if isinstance(value, Block) else "")
def test_command_and_its_options_exist(block: Block, line: str) -> None:
    for part in re.split(r";\s+(?=mevflow )", line.split(" # ")[0].split("   ")[0]):
        words = _words(part)
        command: click.Command = cli
        context = click.Context(cli)
        taken = 0
        for word in words[1:]:
            if not isinstance(command, click.Group):
                break
            inner = command.get_command(context, word)
            if inner is None and (default := getattr(command, "default", None)):
                inner = command.get_command(context, default)
            assert inner is not None, f"{block.where}: mevflow has no command {' '.join(words[1 : taken + 2])}"
            command, taken = inner, taken + 1
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        if " | " in line:  # alternatives: their options are of other commands
            continue
        wrong = [word for word in words if re.match(r"--[a-z]", word) and word not in options]
        assert not wrong, f"{block.where}: {part.strip()}: no option {', '.join(wrong)}"


def _words(line: str) -> list[str]:
    """A command's words; brackets that mark what may be left out, and other spellings after ``|``, are dropped."""
    line = re.sub(r"\s\|\s\S+", "", line)
    line = line.replace("[--", "--").replace("…", "").replace("]", "")
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def test_pages_have_no_dead_links() -> None:
    dead = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (Path(path.parent) / target).exists():
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []
