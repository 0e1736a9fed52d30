"""``mevflow install``: files that the operating system wants elsewhere."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from mevflow.cli.output import emit_json, json_option, note, table

#: The program as the units name it.
_NAMED = "/opt/mevflow/bin/mevflow"
_TARGETS = {
    "*.service": "etc/systemd/system",
    "*.target": "etc/systemd/system",
    "mevflow.sysusers": "etc/sysusers.d/mevflow.conf",
}


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """One file: where it goes, what it holds, and how it stands there (``create``, ``update``, ``same``)."""

    path: Path
    text: str
    action: str


@click.group()
def command() -> None:
    """Put files where the operating system looks for them."""


@command.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path("/"), show_default=True, help="Below this folder."
)
@click.option("--program", help="The mevflow that units run (default: this one).")
@json_option
def systemd(dry_run: bool, root: Path, program: str | None, as_json: bool) -> None:
    """Write units, the user `mevflow` and kernel settings; nothing is started. Again it changes nothing.

    docs/operate.md has the steps before and after.
    """
    from mevflow.operators.errors import MevflowError, UsageError

    program = program or shutil.which("mevflow") or str(Path(sys.executable).with_name("mevflow"))
    if not Path(program).is_absolute() or any(char.isspace() for char in program):
        raise UsageError("units need an absolute path without blanks", key="--program")
    found = _files(root, program)
    if not dry_run:
        for each in found:
            try:
                each.path.parent.mkdir(parents=True, exist_ok=True)
                each.path.write_text(each.text)
            except OSError as error:
                hint = "sudo, or --root for a package"
                raise MevflowError(f"cannot be written: {error.strerror}", hint=hint, file=str(each.path)) from error
    if as_json:
        emit_json({"dry_run": dry_run, "files": [{"path": str(f.path), "action": f.action} for f in found]})
        return
    table(["file", ""], [[str(each.path), each.action] for each in found])
    if not dry_run:
        note("next: systemd-sysusers; sysctl --system; systemctl daemon-reload; systemctl enable --now mevflow@NAME …")


def _files(root: Path, program: str) -> list[InstalledFile]:
    import mevflow

    ops = Path(mevflow.__file__).parent / "ops"
    found = []
    for pattern, target in _TARGETS.items():
        for path in sorted((ops / "systemd").glob(pattern)):
            to = root / target if target.endswith(".conf") else root / target / path.name
            found.append(_file(to, path.read_text().replace(_NAMED, program)))
    found.append(_file(root / "etc/sysctl.d/90-mevflow.conf", (ops / "sysctl" / "90-mevflow.conf").read_text()))
    return found


def _file(path: Path, text: str) -> InstalledFile:
    try:
        there: str | None = path.read_text()
    except OSError:
        there = None
    return InstalledFile(path, text, "create" if there is None else "same" if there == text else "update")
