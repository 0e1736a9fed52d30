"""Multipart bodies: what clients send is read, what is none is an error, and each byte is looked at a few times."""

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from mevflow.clickhouse.server.errors import ServerError
from mevflow.clickhouse.server.multipart import MAX_HEAD_BYTES, MAX_PARTS, parse_form

KIND = "multipart/form-data; boundary=b"
HEAD = b"--b\r\nContent-Disposition: form-data; "


#: A client either escapes a backslash or does not.
_NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\"), min_size=1, max_size=20)


@given(st.dictionaries(_NAMES, st.binary()), st.dictionaries(_NAMES, st.text()))
def test_what_urllib3_sends_comes_back(files, fields):
    sent = [(name, (f"{name}.csv", data)) for name, data in files.items()]
    body, kind = urllib3.encode_multipart_formdata([*sent, *fields.items()], boundary="b" * 40)
    found = parse_form(kind, body)
    assert found[0] == {name.replace('"', "%22"): value for name, value in fields.items()}
    assert found[1] == {name.replace('"', "%22"): value for name, value in files.items()}


def test_what_requests_sends_comes_back():
    call = requests.Request("POST", "http://x/", files={"t": ("t.tsv", b"1\r\n--b\r\n")}, data={"query": "SELECT 1"})
    made = call.prepare()
    assert parse_form(made.headers["Content-Type"], made.body) == ({"query": "SELECT 1"}, {"t": b"1\r\n--b\r\n"})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (HEAD + b'name="q"\r\n\r\n1\r\n--b--\r\n', {"q": "1"}),
        (HEAD + b"name=q\r\n\r\n\r\n--b--", {"q": ""}),
        (b"a preamble\r\n" + HEAD + b'name="q"\r\nContent-Type: text/plain\r\n\r\n1\r\n--b  \r\n'
         b'content-disposition:form-data;name="a\\"b"\r\n\r\n2\r\n--b--\r\nan epilogue', {"q": "1", 'a"b': "2"}),
        (HEAD + b'name="q"\r\n\r\n--b\r\n--bc\r\n\r\n--b--', None),  # --bc is no line of this boundary
        (HEAD + b'name="q"\r\n\r\n1', None),
        (HEAD + b"\r\n\r\n1\r\n--b--", None),
        (HEAD + b'name="q"\r\n1\r\n--b--', None),
        (HEAD + b'name="q"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--b--', None),
        (b"--c\r\n", None),
        (b"", None),
    ],
)  # fmt: skip
def test_a_body_is_read_as_its_standard_says_or_refused(body, fields):
    if fields is not None:
        assert parse_form(KIND, body) == (fields, {})
        return
    with pytest.raises(ServerError, match="multipart"):
        parse_form(KIND, body)


@pytest.mark.parametrize("piece", [b";", b"; a=b", b"; x*1=b", b"(", b'"', b"\\", b" ", b"\r\n ", b"\r\nX: y"])
def test_a_long_head_is_refused_before_it_is_looked_at(piece):
    """A mail parser looks through 64 KiB of semicolons for minutes."""
    with pytest.raises(ServerError, match="no head, or one of more than"):
        parse_form(KIND, HEAD + b'name="q"' + piece * MAX_HEAD_BYTES + b"\r\n\r\n1\r\n--b--\r\n")


def test_parts_are_bounded_in_number():
    with pytest.raises(ServerError, match="parts"):
        parse_form(KIND, (HEAD + b"name=q\r\n\r\n1\r\n") * (MAX_PARTS + 1) + b"--b--")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=y"])
def test_without_a_boundary_nothing_is_read(kind):
    with pytest.raises(ServerError, match="boundary"):
        parse_form(kind, HEAD + b"name=q\r\n\r\n1\r\n--b--")
