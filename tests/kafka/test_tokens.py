"""Tokens: one while it is good, another when it is not; what a server may answer instead of one."""

import json
import threading

import pytest

from mevflow.kafka import tokens
from mevflow.kafka.tokens import Tokens
from mevflow.operators.errors import UnreachableError
from mevflow.processes.addresses import free_port
from tests.kafka.token_server import token_server


@pytest.fixture
def server(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    with token_server("s3cret", tmp_path / "jwks.json") as found:
        yield found


@pytest.fixture
def asked(server, tmp_path):
    return Tokens(server.url, "ann", str(tmp_path / "secret"), "kafka")


def test_one_token_serves_until_most_of_its_life_is_over(server, asked, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now[0])
    first = asked.token()
    assert asked.token() == first
    assert server.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka"]}]
    now[0] += 0.81 * 300
    asked.token()
    assert len(server.asked) == 2


def test_many_who_need_one_at_once_ask_once(server, asked):
    threads = [threading.Thread(target=asked.token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": 7}, {"access_token": None}, [], {"access_token": "x" * 70_000}]
)
def test_what_is_no_token_is_refused(server, asked, answer):
    server.token = lambda: answer
    with pytest.raises(UnreachableError, match="gives no access_token"):
        asked.token()


def test_a_server_that_is_not_there_is_named(tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    address = f"http://127.0.0.1:{free_port()}/token"
    with pytest.raises(UnreachableError, match=f"{address} cannot be asked") as refused:
        Tokens(address, "ann", str(tmp_path / "secret")).token()
    assert "s3cret" not in str(refused.value) + json.dumps(refused.value.hint)
