"""Files and folders for this user alone: what a deployment keeps is nobody else's on the machine.

Folders are made with mode 0700 and files with 0600, whatever the umask. A link, or a file of another user, is not
followed or written to: where others may write, they may have put it there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import IO, Any

from mevflow.operators.errors import MevflowError, UsageError

#: What a secret's file may hold, in bytes.
_MOST_BYTES = 64 << 10
#: For processes that make files by other means (the engine, the broker, SQLite).
UMASK = 0o077


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing. Raises MevflowError when it is someone else's, OSError."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            with contextlib.suppress(FileExistsError):  # someone else was faster; looked at below
                folder.mkdir(mode=0o700)
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(number)
        if found.st_uid != os.geteuid():
            raise MevflowError("the folder belongs to another user", hint="choose one of your own", file=str(path))
        if found.st_mode & 0o077:  # made by an earlier version
            os.fchmod(number, 0o700)
    finally:
        os.close(number)
    return path


def open_private(path: Path, mode: str = "ab") -> IO[Any]:
    """Open a file to write (``w``) or to add to (``a``), text or ``b``. Raises MevflowError, OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    flags |= os.O_APPEND if "a" in mode else 0
    number = os.open(path, flags, 0o600)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink > 1:
            raise MevflowError("is not a plain file of this user's own", hint="remove it", file=str(path))
        os.fchmod(number, 0o600)
        if "w" in mode:
            os.ftruncate(number, 0)
        return open(path, mode, opener=lambda _path, _flags: number)
    except BaseException:
        os.close(number)
        raise


def write_private(path: Path, data: bytes) -> None:
    """Write a file as a whole: readers see what was there before, or all of this."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    fresh.unlink(missing_ok=True)
    try:
        with open_private(fresh, "wb") as file:
            file.write(data)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def read_secret(path: str) -> str:
    """What a secret's file holds; empty without a path. Raises UsageError when it cannot be read or holds nothing."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the secret cannot be read: {getattr(error, 'strerror', error)}", file=path) from None
    if not text:
        raise UsageError("the secret is empty", file=path)
    return text
