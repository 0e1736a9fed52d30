"""``mevflow bench profile``: what it asks for, and what it says where py-spy is not."""

import pytest
from click.testing import CliRunner

from mevflow.bench import profile
from mevflow.cli import cli
from mevflow.operators.errors import MevflowError


@pytest.mark.parametrize("words", [["profile"], ["split", "decide"], ["profile", "nothing"]])
def test_one_bench_is_named(words):
    assert CliRunner().invoke(cli, ["bench", *words]).exit_code == 2


def test_without_py_spy_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(profile.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MevflowError, match="not installed") as told:
        profile.record("split", tmp_path / "out.json")
    assert told.value.hint == "pip install py-spy"
    assert not (tmp_path / "out.json").exists()
