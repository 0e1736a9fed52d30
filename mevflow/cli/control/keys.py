"""``mevflow control keys``: make the keys that sign tokens, and tokens."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.operators.errors import UsageError

_path = click.Path(path_type=Path)


@click.group()
def keys() -> None:
    """Make the keys that sign tokens, and tokens for callers of the control service."""


@keys.command()
@click.argument("key_id")
@click.option("--folder", type=_path, help="Of public keys (default: as configured, else VAR/control/keys).")
@click.option("--private", type=_path, help="File of the private half (default: VAR/control/private/KEY_ID.pem).")
@json_option
def new(key_id: str, folder: Path | None, private: Path | None, as_json: bool) -> None:
    """Make the Ed25519 key KEY_ID. The service takes its tokens as soon as the public half lies in the folder."""
    from mevflow.control.auth.keys import make_key

    folder, private = _places(key_id, folder, private)
    make_key(folder, key_id, private)
    emit({"key_id": key_id, "public": folder / f"{key_id}.pem", "private": private}, as_json)
    if not as_json:
        note(f"the service reads public keys from here: MEVFLOW_CONTROL__JWT_KEYS={folder}")


@keys.command()
@click.argument("key_id")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "risk", "admin"]), default="viewer", show_default=True)
@click.option("--ttl", "ttl_s", type=click.IntRange(1), default=3600, show_default=True, help="Seconds.")
@click.option("--private", type=_path, help="File of the private key (default: VAR/control/private/KEY_ID.pem).")
@click.option("--out", type=_path, help="Write the token to this file (for its owner alone) instead of stdout.")
def token(key_id: str, name: str, role: str, ttl_s: int, private: Path | None, out: Path | None) -> None:
    """Sign a token for NAME with the private key KEY_ID."""
    from mevflow.control.auth.tokens import make_token
    from mevflow.flows.config import config

    private = _places(key_id, None, private)[1]
    control = config().control
    made = make_token(private, key_id, name, role, ttl_s, audience=control.audience, issuer=control.issuer)
    if out is None:
        click.echo(made)
        return
    try:
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made + "\n")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=str(out)) from error


def _places(key_id: str, folder: Path | None, private: Path | None) -> tuple[Path, Path]:
    from mevflow.flows.config import config

    settings = config()
    base = settings.var / "control"
    return (
        folder or settings.control.jwt_keys or base / "keys",
        private or base / "private" / f"{key_id}.pem",
    )
