"""The addresses that a topology file may ask for."""

import os

import click
from click.testing import CliRunner

from mevflow.cli.settings import file_option
from mevflow.flows.config import config, home


def test_a_command_leaves_no_address_to_the_next_one(tmp_path, monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    seen = []

    @click.command()
    @file_option
    def command(file):
        seen.append(os.environ["KAFKA_BOOTSTRAP"])

    for port in (9092, 9192):
        monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", f"127.0.0.1:{port}")
        config.cache_clear()
        assert CliRunner().invoke(command, catch_exceptions=False).exit_code == 0
    config.cache_clear()
    assert seen == ["127.0.0.1:9092", "127.0.0.1:9192"]
    assert "KAFKA_BOOTSTRAP" not in os.environ


def test_a_command_leaves_no_place_to_the_next_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "topologies.yaml").write_text("version: 1\ntopologies: {}\n")
    seen = []

    @click.command()
    @file_option
    def command(file):
        seen.append(home())

    for words in (["--file", str(elsewhere / "topologies.yaml")], []):
        assert CliRunner().invoke(command, words, catch_exceptions=False).exit_code == 0
    assert seen == [elsewhere, tmp_path]
