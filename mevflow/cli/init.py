"""``mevflow init``: a project of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Write a project to FOLDER (new or empty): topologies, settings, registry, a plug-in with tests, README.

    `mevflow demo` runs there on the recorded days that come with mevflow. Exit code 4 when the folder is not empty.
    """
    from mevflow.operators.errors import CheckFailedError, MevflowError

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckFailedError("is there and not an empty folder", hint="name a new one", file=str(folder.absolute()))
    try:
        written = _write(folder)
    except OSError as error:
        raise MevflowError(f"cannot be written: {error.strerror}", file=str(folder.absolute())) from error
    note(f"next: cd {folder} && mevflow preflight && mevflow demo")
    emit({"folder": str(folder.absolute()), "files": len(written)}, as_json)


def _write(folder: Path) -> list[Path]:
    import mevflow

    package = Path(mevflow.__file__).parent
    examples = package / "examples"
    built = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", ".pytest_cache", "var")
    shutil.copytree(examples / "plugin", folder / "plugin", ignore=built)
    for name in ("README.md", "mevflow.toml"):
        shutil.copyfile(examples / "project" / name, folder / name)
    shutil.copyfile(examples / "pools.yaml", folder / "pools.yaml")
    topologies = (package / "topologies.yaml").read_text()
    (folder / "topologies.yaml").write_text(topologies.replace("examples/pools.yaml", "pools.yaml"))
    (folder / ".gitignore").write_text("var/\n__pycache__/\n*.egg-info/\n")
    return [path for path in folder.rglob("*") if path.is_file()]
