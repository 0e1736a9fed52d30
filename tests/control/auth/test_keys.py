"""Key pairs: who may read them, and what lies where."""

import stat

import pytest

from mevflow.control.auth.keys import make_key, read_keys, read_private
from mevflow.operators.errors import UsageError


def test_the_private_half_is_its_owners_alone(keys):
    assert stat.S_IMODE(keys.private("one").stat().st_mode) == 0o600
    assert set(read_keys(keys.folder)) == {"one"}
    assert b"PRIVATE" not in (keys.folder / "one.pem").read_bytes()
    assert read_private(keys.private("one")).public_key() == read_keys(keys.folder)["one"]


def test_nothing_is_overwritten(keys):
    with pytest.raises(UsageError, match="another key id"):
        keys.make("one")
    with pytest.raises(UsageError, match="folder of public"):
        make_key(keys.folder, "two", keys.folder / "two.key")
    with pytest.raises(UsageError, match="letters"):
        make_key(keys.folder, "../two", keys.private("two"))


def test_other_files_are_passed_over(keys):
    (keys.folder / "private.pem").write_bytes(keys.private("one").read_bytes())
    (keys.folder / "noise.pem").write_bytes(b"\x00\xff")
    (keys.folder / "readme.txt").write_text("keys")
    (keys.folder / "folder.pem").mkdir()
    assert set(read_keys(keys.folder)) == {"one"}


def test_a_wrong_file_is_named_and_not_quoted(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_keys(tmp_path / "none")
    file = tmp_path / "key.pem"
    with pytest.raises(UsageError, match="cannot be read"):
        read_private(file)
    file.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UsageError) as wrong:
        read_private(file)
    assert "c2VjcmV0" not in str(wrong.value)
