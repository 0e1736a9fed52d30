"""What a statement asks for, as the HTTP interface sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.clickhouse.server.statement import by_query_id, parse, with_query_ids


@pytest.mark.parametrize(
    ("text", "head", "settings", "form", "data"),
    [
        ("INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t ", "", "CSV", "1,2"),
        ("insert into d.t (a, `b c`) format Native \n\x01", "insert into d.t (a, `b c`) ", "", "Native", "\x01"),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t ", "", "Values", " (1)"),
        ("INSERT INTO t (format, values) FORMAT TSV\n", "INSERT INTO t (format, values) ", "", "TSV", ""),
        ("INSERT INTO format FORMAT CSV\r\n1", "INSERT INTO format ", "", "CSV", "1"),
        ("INSERT INTO settings.values VALUES (1)", "INSERT INTO settings.values ", "", "Values", " (1)"),
        ("INSERT INTO TABLE table VALUES (1)", "INSERT INTO TABLE table ", "", "Values", " (1)"),
        ("INSERT INTO {t:Identifier} FORMAT CSV\n1", "INSERT INTO {t:Identifier} ", "", "CSV", "1"),
        (
            "INSERT INTO FUNCTION null('a Int8') VALUES (1)",
            "INSERT INTO FUNCTION null('a Int8') ",
            "",
            "Values",
            " (1)",
        ),
        (
            "INSERT INTO FUNCTION file('x', CSV) PARTITION BY (format) SETTINGS a = 1, b = -2e-3, c = [1] FORMAT CSV\n",
            "INSERT INTO FUNCTION file('x', CSV) PARTITION BY (format) ",
            "SETTINGS a = 1, b = -2e-3, c = [1] ",
            "CSV",
            "",
        ),
        (
            "INSERT INTO t SETTINGS async_insert VALUES (1)",
            "INSERT INTO t ",
            "SETTINGS async_insert ",
            "Values",
            " (1)",
        ),
        (
            "/* FORMAT X */ INSERT INTO t -- FORMAT Y\n FORMAT Z 1",
            "/* FORMAT X */ INSERT INTO t -- FORMAT Y\n ",
            "",
            "Z",
            "1",
        ),
        ("INSERT INTO t SETTINGS a='FORMAT' FORMAT CSV\n\n", "INSERT INTO t ", "SETTINGS a='FORMAT' ", "CSV", "\n"),
        ("INSERT INTO t (a)", "INSERT INTO t (a)", "", "Values", ""),
    ],
)
def test_an_insert_is_cut_where_its_clauses_and_its_data_start(text, head, settings, form, data):
    insert = parse(text).insert
    assert (insert.head, insert.settings, insert.format, text[insert.data_at :]) == (head, settings, form, data)


@pytest.mark.parametrize("name", ["table", "database", "offset", "interval", "replace", "apply", "div", "mod"])
def test_a_column_may_be_named_as_a_keyword_before_the_format(name):
    for text in (f"SELECT {name} FORMAT Native", f"SELECT a, {name} FROM t GROUP BY {name}\n FORMAT Native"):
        assert parse(text).format == "Native", text


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
        ("SELECT table, count() FROM t GROUP BY table FORMAT Native", "SELECT", "Native"),
        ("SELECT 1 FROM t ORDER BY a, database FORMAT CSV", "SELECT", "CSV"),
        ("SHOW CREATE TABLE format", "SHOW", None),
        ("select 1 as format from t", "SELECT", None),
        ("select format from t order by format desc", "SELECT", None),
        ("select 1 as format, 2 as settings format CSV", "SELECT", "CSV"),
        ("select a from t where format = 'x' and settings in (1) format CSV settings max_threads = 1", "SELECT", "CSV"),
        ("(select 1) format CSV", "SELECT", "CSV"),
        ("select $q$ format TSV $q$, 1 format CSV", "SELECT", "CSV"),
        ("", "", None),
    ],
)
def test_the_verb_and_the_answers_format(text, verb, form):
    statement = parse(text)
    assert (statement.verb, statement.format) == (verb, form)


@pytest.mark.parametrize("text", ["SELECT 1 INTO OUTFILE '/x'", "INSERT INTO t FROM INFILE '/x'"])
def test_files_of_the_server_are_noticed(text):
    assert parse(text).names_file


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("select 1;", False),
        ("select 1 ;; -- done; really", False),
        ("select ';', `a;b`, $x$;$x$ /* ; */", False),
        ("select 1; select 2", True),
        ("insert into t select 1; drop table t", True),
    ],
)
def test_more_than_one_statement_is_noticed(text, several):
    assert parse(text).several is several


@pytest.mark.parametrize(
    "text", ["insert into t select 1", "create table t (a Int8)", "with 1 as a insert into t select a"]
)
def test_what_answers_with_rows(text):
    assert not parse(text).answers
    assert parse("select 1 where 0").answers
    assert parse("show tables").answers


def test_query_ids_are_put_in_their_place():
    assert by_query_id("KILL QUERY WHERE query_id = 'query_id' OR `query_id` = 'b'", "X") == (
        "KILL QUERY WHERE X = 'query_id' OR X = 'b'"
    )
    assert with_query_ids("SELECT 'system.processes' FROM system.processes AS p", "X") == (
        "SELECT 'system.processes' FROM (SELECT * REPLACE (X AS query_id) FROM system.processes) AS p"
    )


@given(st.binary(max_size=200))
def test_data_of_any_kind_is_left_as_it_is(data):
    text = "INSERT INTO t (`a`, b) FORMAT RowBinary\n" + data.decode("latin-1")
    insert = parse(text).insert
    assert text[insert.data_at :].encode("latin-1") == data


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_fail(text):
    parse(text)


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        ("SELECT table FROM system.columns GROUP BY table FORMAT Native", "Native"),
        ("SELECT a FROM t ORDER BY database FORMAT JSON", "JSON"),
        ("SELECT count() table FORMAT JSON", "JSON"),
        ("SELECT x FROM t ORDER BY ts, offset FORMAT Native", "Native"),
        ("SELECT x AS interval FORMAT Native", "Native"),
        ("SELECT x FROM t GROUP BY mod FORMAT Native SETTINGS max_threads = 1", "Native"),
        ("SELECT x FROM t ORDER BY replace FORMAT Native", "Native"),
        ("EXISTS TABLE t FORMAT JSON", "JSON"),
        ("SELECT format x", None),
        ("SELECT x FROM format f", None),
        ("SELECT a, format b", None),
        ("SELECT x FROM t ORDER BY format DESC", None),
        ("SELECT x FROM t WHERE a AND format alias", None),
        ("SELECT a DIV format b", None),
    ],
)
def test_format_is_a_clause_behind_whatever_may_be_a_name(text: str, format_name: str | None) -> None:
    assert parse(text).format == format_name


#: What was looked at to the text's end again and again, or over and over: a megabyte of each took hours.
@pytest.mark.parametrize(
    "piece",
    ["'" + "\\'" * 400_000, "`" + "\\`" * 400_000, "/*" * 400_000, "".join(f"$a{i}$" for i in range(120_000)),
     "IN " * 100_000, "INTERVAL " * 30_000 + "FORMAT CSV"],
    ids=["quotes", "backticks", "comments", "heredocs", "operators", "names"],
)  # fmt: skip
def test_a_text_is_read_once_whatever_it_leaves_open(piece):
    assert parse("SELECT 1, " + piece).verb == "SELECT"
    assert parse("INSERT INTO t SELECT " + piece).verb == "INSERT"


def test_many_calls_of_input_are_looked_at_once():
    found = parse("INSERT INTO t SELECT " + "input('a Int8'), " * 20_000 + "1")
    assert found.insert is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT $a$ FORMAT CSV $a$ FORMAT TSV", "TSV"),
        ("SELECT $$x$$, $b$ $$ $b$ FORMAT TSV", "TSV"),
        ("SELECT 'it''s' FORMAT TSV", "TSV"),
        ("SELECT 'open FORMAT TSV", None),
        ("SELECT 1 /* open FORMAT TSV", None),
        ("SELECT 1 IN IN FORMAT TSV", "TSV"),
        ("SELECT 1 IN format FORMAT TSV", "TSV"),
    ],
)
def test_what_is_quoted_or_open_names_no_format(text, form):
    assert parse(text).format == form
