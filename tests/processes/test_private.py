"""Files and folders of a deployment are its owner's, and what others may have put there is not followed."""

import os
import stat

import pytest

from mevflow.operators.errors import MevflowError
from mevflow.processes.private import open_private, private_folder, write_private


@pytest.fixture(autouse=True)
def _open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_private(tmp_path):
    folder = private_folder(tmp_path / "var" / "run" / "t")
    assert {mode(each) for each in (folder, folder.parent, folder.parent.parent)} == {0o700}
    with open_private(folder / "log") as file:
        file.write(b"a")
    with open_private(folder / "log") as file:
        file.write(b"b")
    write_private(folder / "pid", b"1")
    assert (folder / "log").read_bytes() == b"ab"
    assert {mode(each) for each in folder.iterdir()} == {0o600}
    assert {each.name for each in folder.iterdir()} == {"log", "pid"}


def test_what_was_open_is_closed(tmp_path):
    (tmp_path / "old").mkdir(mode=0o755)
    (tmp_path / "old" / "log").touch(0o644)
    open_private(private_folder(tmp_path / "old") / "log", "w").close()
    assert (mode(tmp_path / "old"), mode(tmp_path / "old" / "log")) == (0o700, 0o600)


@pytest.mark.parametrize("kind", ["link", "dangling", "hard", "fifo", "folder"])
def test_a_link_or_a_pipe_is_not_written_to(tmp_path, kind):
    there, path = tmp_path / "there", tmp_path / "path"
    if kind != "dangling":
        there.write_text("precious")
    if kind in ("link", "dangling"):
        path.symlink_to(there)
    elif kind == "hard":
        path.hardlink_to(there)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises((OSError, MevflowError)):
        open_private(path, "w")
    assert not there.exists() or there.read_text() == "precious"


def test_a_folder_of_someone_else_is_refused(tmp_path):
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(MevflowError, match="another user"):
        private_folder(folder)
