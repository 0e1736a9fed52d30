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
from tests.docs.blocks import PAGES, ROOT, Block, blocks

BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]
#: Of blocks that are not run: (block, a line that calls mevflow). The others are run by tests/pages.
COMMANDS = [
    (block, line)
    for block in BLOCKS
    if block.language in ("sh", "console") and block.why_not
    for line in block.text.splitlines()
    if re.match(r"(\$ )?mevflow ", line)
]
#: Commands that the prose names: (page, command).
NAMED = sorted(
    {
        (path.relative_to(ROOT).as_posix(), " ".join(span.split()))
        for path in PAGES
        for span in re.findall(r"`(mevflow [a-z][^`]*)`", path.read_text())
    }
)


@pytest.mark.parametrize("block", [b for b in PYTHON if not b.why_not], ids=lambda block: block.where)
def test_python_block_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [b for b in PYTHON if b.why_not], ids=lambda block: block.where)
def test_the_imports_of_a_block_that_is_not_run_work(block: Block) -> None:
    imports = [node for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports
    exec(compile(ast.Module(imports, []), block.where, "exec"), {})


def test_every_block_says_what_is_done_with_it() -> None:
    known = ("sh", "console", "python", "yaml", "toml", "text")
    others = [block for block in BLOCKS if block.language not in known]
    assert [block.where for block in others if block.language != "js" or not block.why_not] == []


def test_no_command_hides_in_a_text_block() -> None:
    command = re.compile(r"(\$ )?(mevflow|curl|make|python|pip|sudo) ")
    text = [block for block in BLOCKS if block.language == "text"]
    assert [block.where for block in text if any(map(command.match, block.text.splitlines()))] == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in ("yaml", "toml")], ids=lambda block: block.where)
def test_settings_can_be_read(block: Block) -> None:
    if block.language == "yaml":
        assert YAML(typ="safe").load(block.text)
    else:
        import tomllib

        assert tomllib.loads(block.text)


@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=lambda value: value.where if isinstance(value, Block) else "")
def test_a_command_that_is_not_run_could_be(block: Block, line: str) -> None:
    words = [re.sub(r".*….*", "…", word) for word in shlex.split(line.removeprefix("$ "), comments=True)]
    _parse(words[: words.index("&&")] if "&&" in words else words)


@pytest.mark.parametrize(("page", "line"), NAMED)
def test_a_command_that_prose_names_exists(page: str, line: str) -> None:
    command, _, rest = _command(shlex.split(re.sub(r"[\[\]]|…|\|\s*\S+", " ", line)))
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if re.match(r"--[a-z]", word)} <= options | {"--help"}


def _command(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """What a line calls, with the words that are left for it. Raises UsageError: no such command."""
    command, context, rest = cli, click.Context(cli, info_name="mevflow"), words[1:]
    while isinstance(command, click.Group) and rest:
        if command.get_command(context, rest[0]) is None and (default := getattr(command, "default", None)):
            rest = [default, *rest]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command, context, rest


def _parse(words: list[str]) -> None:
    """Read a line as ``mevflow`` would. Raises UsageError: no such command or option, a value that is missing or none.

    Files of the reader's need not be there.
    """
    command, context, rest = _command(words)
    try:
        command.parse_args(context, list(rest))
    except click.BadParameter as wrong:
        if isinstance(wrong, click.MissingParameter) or not isinstance(wrong.param.type, click.Path):
            raise


def test_pages_have_no_dead_links() -> None:
    dead = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (Path(path.parent) / target).exists():
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []


def test_pages_name_no_file_that_is_not_there() -> None:
    """Files are named by the end of their path: `sink.py`, `clickhouse/sink.py`, `tests/clickhouse/test_tls.py`."""
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in ("var", "build", ".venv", ".git")]
    there = {path.relative_to(ROOT).parts for room in rooms for path in room.rglob("*.py")}
    ends = {parts[at:] for parts in there for at in range(len(parts))}
    gone = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PAGES
        for name in re.findall(r"`([\w./-]+\.py)`", path.read_text())
        if tuple(part for part in name.split("/") if part not in ("..", ".")) not in ends
    ]
    assert gone == []
