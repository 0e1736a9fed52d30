"""What a backup holds: ``manifest.json``, written last. A folder without one is no backup."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from mevflow.operators.errors import CheckFailedError, UsageError
from mevflow.processes.private import write_private

FORMAT = 1
MANIFEST = "manifest.json"
#: Folders of a backup: the project's own files, what is below ``var``, the tables.
PROJECT, STATE, TABLES = "project", "var", "tables"
_MOST_BYTES = 256 << 20
_PIECE_BYTES = 1 << 20


class StoredFile(msgspec.Struct, frozen=True):
    """One file: its path in the backup, bytes, SHA-256."""

    path: str
    size: int
    sha256: str


class StoredTable(msgspec.Struct, frozen=True):
    """One table: its columns in the order of its file, rows, and the sum of its rows' hashes (in any order)."""

    name: str
    file: str
    columns: list[str]
    rows: int
    digest: int


class Manifest(msgspec.Struct, frozen=True):
    """``migrations``: number -> checksum, as the database had them. ``topics``: with the embedded broker's log.

    ``cluster`` is the id of the Kafka cluster that the recovery stores belong to (empty: not known). ``left_out`` names
    what belongs to the deployment and is not here.
    """

    format: int
    mevflow: str
    made_us: int
    home: str
    database: str
    migrations: dict[int, str]
    topologies: list[str]
    topics: bool
    cluster: str
    tables: list[StoredTable]
    files: list[StoredFile]
    left_out: list[str]

    def save(self, folder: Path) -> None:
        """Write it: the backup is whole from now on."""
        write_private(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a backup. Raises UsageError when there is none that this version can read."""
        path = folder / MANIFEST
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise UsageError(f"has more than {_MOST_BYTES} bytes", file=str(path))
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            hint = "a backup that was cut off has no manifest: make it again"
            raise UsageError(f"is no backup: {error.strerror}", hint=hint, file=str(path)) from error
        except msgspec.DecodeError as error:
            raise UsageError(f"is no manifest of a backup: {error}", file=str(path)) from error
        if found.format != FORMAT:
            hint = f"restore it with mevflow {found.mevflow}"
            raise UsageError(f"has format {found.format}, and this version reads {FORMAT}", hint=hint, file=str(path))
        for stored in found.files:
            parts = Path(stored.path).parts
            if not parts or parts[0] not in (PROJECT, STATE, TABLES) or ".." in parts:
                raise UsageError("names a file outside of the backup", file=str(path), key=stored.path)
        return found

    def check(self, folder: Path) -> None:
        """Raise CheckFailedError that names the files that are not as they were written."""
        wrong = [stored.path for stored in self.files if describe(folder, folder / stored.path) != stored]
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise CheckFailedError(
                f"the backup is damaged: {', '.join(wrong[:5])}{more}", hint="use another backup", file=str(folder)
            )


def describe(folder: Path, path: Path) -> StoredFile | None:
    """A file of the backup in ``folder`` as it is now; None when it cannot be read, or is a link."""
    sha, size = hashlib.sha256(), 0
    try:
        if path.is_symlink():
            return None
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                sha.update(piece)
                size += len(piece)
    except OSError:
        return None
    return StoredFile(str(path.relative_to(folder)), size, sha.hexdigest())
