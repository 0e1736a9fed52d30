"""The smoke test of a command says the level that is in force, whatever stands on the log."""

import pytest

from mevflow.control.gateway.endpoints import lab
from mevflow.v1.control_service_pb2 import CommandReply


@pytest.mark.parametrize(
    ("payload", "level"),
    [
        (b'{"level": "DEBUG"}', "DEBUG"),
        (b"{}", "INFO"),
        (b"", "INFO"),
        (b"{", "INFO"),
        (b'{"level": 5}', "INFO"),
        (b"[", "INFO"),
    ],
)
def test_a_level_that_cannot_be_read_is_info(payload, level):
    assert lab._level(CommandReply(payload=payload)) == level


def test_without_a_command_it_is_info():
    assert lab._level(None) == "INFO"
