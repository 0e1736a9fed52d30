"""A short form of ``make fuzz``: no entry raises what it does not document, takes long, or grows."""

import pytest

from mevflow.clickhouse.server.errors import ServerError
from mevflow.clickhouse.server.multipart import parse_form
from tests.fuzz.entries import entries
from tests.fuzz.run import run

_INPUTS = 4_000
_LEAST = 20


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_damaged_inputs_are_refused_in_the_entrys_own_words(entry):
    found = run(entry, max(_LEAST, int(_INPUTS * entry.share)), 7)
    assert not found.failures


def test_a_part_whose_head_is_nested_for_ever_is_refused():
    body = b'--b\r\nContent-Disposition: form-data; name="q"; x' + b"(" * 5_000 + b"\r\n\r\n1\r\n--b--\r\n"
    with pytest.raises(ServerError, match="cannot be read"):
        parse_form("multipart/form-data; boundary=b", body)
