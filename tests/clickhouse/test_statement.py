"""What a statement asks for, as the HTTP interface sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.clickhouse.server.statement import parse


@pytest.mark.parametrize(
    ("text", "head", "form", "data"),
    [
        ("INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t ", "CSV", "1,2"),
        ("insert into d.t (a, `b c`) format Native \n\x01", "insert into d.t (a, `b c`) ", "Native", "\x01"),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t ", "Values", " (1)"),
        ("INSERT INTO t (format, values) FORMAT TSV\n", "INSERT INTO t (format, values) ", "TSV", ""),
        (
            "/* FORMAT X */ INSERT INTO t -- FORMAT Y\n FORMAT Z 1",
            "/* FORMAT X */ INSERT INTO t -- FORMAT Y\n ",
            "Z",
            "1",
        ),
        ("INSERT INTO t SETTINGS a='FORMAT' FORMAT CSV\n\n", "INSERT INTO t SETTINGS a='FORMAT' ", "CSV", "\n"),
        ("INSERT INTO t (a)", "INSERT INTO t (a)", "Values", ""),
    ],
)
def test_an_insert_is_cut_where_its_data_starts(text, head, form, data):
    insert = parse(text).insert
    assert (insert.head, insert.format, text[insert.data_at :]) == (head, form, data)


@pytest.mark.parametrize("text", ["INSERT INTO t SELECT 1", "INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x"])
def test_an_insert_from_a_select_has_no_data(text):
    statement = parse(text)
    assert statement.verb == "INSERT"
    assert statement.insert is None


def test_an_insert_from_input_has_data():
    text = "INSERT INTO t SELECT a + 1 FROM input('a Int8, b Enum(\\'x\\')') WHERE a FORMAT CSV\n1\n"
    insert = parse(text).insert
    assert (insert.structure, insert.format) == ("a Int8, b Enum('x')", "CSV")
    assert text[slice(*insert.input_at)].startswith("input(")
    assert text[insert.data_at :] == "1\n"


@pytest.mark.parametrize(
    ("text", "verb", "form"),
    [
        ("select 1", "SELECT", None),
        ("SELECT 'FORMAT CSV'", "SELECT", None),
        ("-- hello\nSELECT 1\n FORMAT Native", "SELECT", "Native"),
        ("SELECT format('x') FORMAT JSON SETTINGS max_threads=1;", "SELECT", "JSON"),
        ("create table t (a Int8)", "CREATE", None),
        ("", "", None),
    ],
)
def test_the_verb_and_the_answers_format(text, verb, form):
    statement = parse(text)
    assert (statement.verb, statement.format) == (verb, form)


@pytest.mark.parametrize("text", ["SELECT 1 INTO OUTFILE '/x'", "INSERT INTO t FROM INFILE '/x'"])
def test_files_of_the_server_are_noticed(text):
    assert parse(text).names_file


@given(st.binary(max_size=200))
def test_data_of_any_kind_is_left_as_it_is(data):
    text = "INSERT INTO t (`a`, b) FORMAT RowBinary\n" + data.decode("latin-1")
    insert = parse(text).insert
    assert text[insert.data_at :].encode("latin-1") == data


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_fail(text):
    parse(text)
