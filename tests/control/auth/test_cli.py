"""``mevflow control keys``."""

import stat

import pytest
from click.testing import CliRunner

from mevflow.cli.control.keys import keys as command
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.tokens import Tokens
from mevflow.flows.config import config
from mevflow.operators.errors import UsageError


def test_a_key_and_a_token_that_the_service_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    monkeypatch.setenv("MEVFLOW_CONTROL__AUDIENCE", "here")
    config.cache_clear()
    try:
        run = CliRunner().invoke
        made = run(command, ["new", "desk-1"])
        assert made.exit_code == 0, made.output
        token = run(command, ["token", "desk-1", "ann", "--role", "risk"]).stdout.strip()
        tokens = Tokens(KeyFolder(tmp_path / "control" / "keys"), audience="here")
        assert str(tokens.verify(token).role) == "risk"
        out = tmp_path / "token"
        assert run(command, ["token", "desk-1", "bob", "--out", str(out)]).output == ""
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert tokens.verify(out.read_text().strip()).name == "bob"
        again = run(command, ["token", "desk-1", "bob", "--out", str(out)])
        assert isinstance(again.exception, UsageError)
        assert isinstance(run(command, ["new", "desk-1"]).exception, UsageError)
        with pytest.raises(UsageError):
            run(command, ["token", "none", "ann"], catch_exceptions=False)
    finally:
        config.cache_clear()
