"""Confine this process to a few folders, for good: what it runs on behalf of others cannot reach past them.

Linux's Landlock (docs.kernel.org/userspace-api/landlock.html) does it without rights of one's own: no file outside the
folders opens, no program starts, no TCP connection leaves, and no other process's memory or environment can be read.
Threads that run already are not confined: call it before there are any.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
#: Rights of files beneath a path that a rule may give, by the ABI that knows them: removing, making, referring.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_CONNECT_TCP = 2
_CAPABILITY_VERSION = 0x20080522
#: CHOWN, DAC_OVERRIDE, FOWNER, FSETID and NET_BIND_SERVICE.
_KEPT_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 10
#: Of a file that is no folder, only these mean anything.
_OF_A_FILE = _WRITE_FILE | _READ_FILE | _TRUNCATE
#: What an interpreter and its libraries look up while they run.
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/localtime"),
    *("/etc/ld.so.cache", "/etc/timezone", "/sys/fs/cgroup", "/sys/devices/system"),
    "/proc",  # of other processes only what everybody may read: Landlock keeps their memory and environment
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def confine(folders: Iterable[Path]) -> bool:
    """Leave this process nothing but ``folders`` (to read and write) and what Python is made of (to read).

    False where the kernel has no Landlock; nothing is changed then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE, None, 0, _VERSION_FLAG)
    if abi < 1 or sys.platform != "linux":
        return False
    rights = _FILE_RIGHTS[min(abi, max(_FILE_RIGHTS))]
    asked = struct.pack("QQ", rights, _CONNECT_TCP) if abi >= 4 else struct.pack("Q", rights)
    ruleset = libc.syscall(_CREATE, asked, len(asked), 0)
    if ruleset < 0:
        return False
    try:
        for path in (*_SYSTEM, *_interpreter()):
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR) & rights)
        for path in _DEVICES:
            _allow(libc, ruleset, path, (_READ_FILE | _WRITE_FILE) & rights)
        for folder in folders:
            _allow(libc, ruleset, str(folder), rights & ~_EXECUTE)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        _drop_capabilities(libc)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Of root's rights, those that reach around the bound go: with CAP_PERFMON other processes' memory can be read."""
    head = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    data = ctypes.create_string_buffer(24)
    if libc.capget(head, data) == 0:
        words = struct.unpack("6I", data.raw)  # effective, permitted, inheritable; then the upper halves
        kept = [word & _KEPT_CAPABILITIES if at < 2 else 0 for at, word in enumerate(words)]
        libc.capset(head, struct.pack("6I", *kept))


def forget_environment(keep: Callable[[str], bool]) -> None:
    """Wipe the variables that ``keep`` does not want, also from what ``/proc/self/environ`` shows."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in [name for name in os.environ if not keep(name)]:
        if at := libc.getenv(os.fsencode(name)):
            ctypes.memset(at, 0, len(os.fsencode(os.environ[name])))
        del os.environ[name]


def _interpreter() -> list[str]:
    """Folders of the standard library, of installed packages, and of our own: never the folder that holds them all."""
    import mevflow

    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    rooms = [str(room.resolve()) for root in mevflow.__path__ for room in Path(root).iterdir() if room.is_dir()]
    return [*installed, *mevflow.__path__, *rooms]


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    try:
        if not os.path.isdir(path):
            rights &= _OF_A_FILE
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)
