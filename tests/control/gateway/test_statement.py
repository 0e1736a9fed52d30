"""Statements that read pass; all else is refused, twice over: by its text, and by ClickHouse's own tree of it."""

import asyncio
import contextlib
import socket

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.control.gateway.sql.functions import ALLOWED, allowed
from mevflow.control.gateway.sql.statement import check_text
from mevflow.control.gateway.sql.tree import TABLE_FUNCTIONS, check_tree
from mevflow.control.gateway.tables.reader import ClickHouseReader
from mevflow.control.refusal import Refused
from mevflow.flows.config import ClickHouseConfig
from tests.control.auth.conftest import THREADS_DRAW

GOOD = [
    "SELECT 1",
    "select count() from raw_swaps where pool = {pool:String} -- a comment; DROP TABLE x",
    "WITH a AS (SELECT number AS n FROM numbers(10)) SELECT sum(n) AS `the sum, all` FROM a;",
    "SELECT pool, 'a;b /* no comment', \"x\" FROM (SELECT pool, 1 AS x FROM raw_swaps) ORDER BY 1 LIMIT 5",
    "SELECT a.pool FROM raw_swaps AS a JOIN dex_pools AS b ON a.pool = b.pool WHERE a.pool IN (SELECT pool FROM pools)",
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT IN ('a', 'b')",
    "SELECT concat('{}-{}', 'a') AS text, [1, 2][1], (1, 2).1, map('a', 1)['a']",
    "DESCRIBE TABLE raw_swaps",
    "DESC raw_swaps",
    "SHOW TABLES",
    "SHOW CREATE TABLE raw_swaps",
    "SELECT 1 UNION ALL SELECT 2 /* and so on */ -- the end",
    "SELECT quantile(0.5)(slot), toStartOfMinute(timestamp) AS t FROM raw_swaps GROUP BY t WITH TOTALS",
    "SELECT * FROM values('a UInt8, b String', (1, 'x')) AS a, generateSeries(1, 3) AS b",
    "SHOW TABLES NOT LIKE 'raw%'",
    "SHOW CREATE raw_swaps;",
    "SELECT 'a\nb' AS a, 1 AS settings FROM numbers(1)",
    "SELECT * EXCEPT (pool) REPLACE (slot + 1 AS slot), COLUMNS('mint') FROM raw_swaps LIMIT 1",
    "SELECT system.tables.name FROM system.tables LIMIT 1",
    "SELECT a.* FROM raw_swaps AS a ANY LEFT JOIN dex_pools AS b USING (pool) WHERE trim(BOTH ' ' FROM 'x') = ''",
    "SELECT sum(slot) OVER w, rank() OVER (PARTITION BY pool ORDER BY slot ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
    "FROM raw_swaps WINDOW w AS (ORDER BY slot) QUALIFY 1",
    "SELECT number AS n FROM numbers(3) ORDER BY n WITH FILL INTERPOLATE LIMIT 1 BY n",
    "SELECT arrayMap(x -> x + 1, [1]), 1::Int8, INTERVAL 1 DAY, x FROM (SELECT 1 AS x) ARRAY JOIN [1, 2] AS y",
    "SELECT 1 INTERSECT SELECT 1 EXCEPT SELECT 2",
    "SELECT pool, count() FROM raw_swaps GROUP BY GROUPING SETS ((pool), (chain))",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t",
    'SELECT * FROM numbers(1) AS "a (children 2)"',
    "SELECT * FROM values('a Array(Tuple(x UInt8, y String)), b Enum8(\\'p\\' = -1)', ([(1, 'x')], 'p'))",
    "SELECT * FROM values((now(), 'x'), (now(), 'y')) AS rows, values('one', 'two') AS words, values(1, 2) AS numbers",
    "DESCRIBE values('a DateTime64(3, \\'UTC\\')', 1)",
]
BAD = [
    "",
    "   -- nothing",
    "INSERT INTO raw_swaps (slot) VALUES (1)",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "DROP TABLE raw_swaps",
    "ALTER TABLE raw_swaps DELETE WHERE 1",
    "TRUNCATE TABLE raw_swaps",
    "OPTIMIZE TABLE raw_swaps",
    "SYSTEM SHUTDOWN",
    "SET readonly = 0",
    "USE system",
    "KILL QUERY WHERE 1",
    "ATTACH TABLE x",
    "GRANT ALL ON *.* TO default",
    "BACKUP DATABASE default TO File('/tmp/x')",
    "EXPLAIN SELECT 1",
    "EXISTS TABLE raw_swaps",
    "(SELECT 1)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE raw_swaps",
    "SELECT 1;; DROP TABLE raw_swaps",
    "SELECT 1 -- a\n; DROP TABLE raw_swaps",
    "SELECT '\\'' ; DROP TABLE raw_swaps --'",
    "SELECT $$'$$ ; DROP TABLE raw_swaps -- $$'$$",
    "SELECT $a$ ' $a$; DROP TABLE raw_swaps --'",
    "SELECT \u201c'\u201c ; DROP TABLE raw_swaps -- \u201c'\u201c",
    "SELECT \u2018a\u2019",
    "SELECT /* 1",
    "SELECT 'open",
    "SELECT `open",
    "SELECT 1 /*/ ; DROP TABLE raw_swaps /*/",
    "WITH 1 AS x INSERT INTO raw_swaps (slot) SELECT x",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO/**/OUTFILE '/tmp/x'",
    "SELECT 1 FORMAT Null",
    "SELECT 1 SETTINGS max_result_rows = 0",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM FiLe('/etc/passwd', 'LineAsString')",
    "SELECT * FROM `file`('/etc/passwd', 'LineAsString')",
    "SELECT * FROM \"file\" /**/ ('/etc/passwd')",
    "SELECT file('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT 1 WHERE (SELECT file('/etc/passwd')) != ''",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM default.`/etc/passwd`",
    "SELECT * FROM `passwd.csv`",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM u\\rl('http://127.0.0.1:1/')",
    "SELECT * FROM urlCluster('c', 'http://127.0.0.1:1/')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1', system.one)",
    "SELECT * FROM cluster('c', system.one)",
    "SELECT * FROM s3('http://127.0.0.1:1/a', 'CSV')",
    "SELECT * FROM s3Cluster('c', 'http://127.0.0.1:1/a')",
    "SELECT * FROM gcs('http://127.0.0.1:1/a')",
    "SELECT * FROM azureBlobStorage('a', 'b', 'c')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:1/a', 'CSV')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM jdbc('a', 'b')",
    "SELECT * FROM odbc('a', 'b', 'c')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e Int8')",
    "SELECT * FROM redis('127.0.0.1:1', 'a', 'a Int8')",
    "SELECT * FROM sqlite('/etc/passwd', 'a')",
    "SELECT * FROM input('a Int8')",
    "SELECT * FROM python('os')",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM loop(numbers(3))",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM dictionary('a')",
    "SELECT * FROM deltaLake('s3://a')",
    "SELECT * FROM numbers(1) AS a, url('http://127.0.0.1:1/') AS b",
    "SELECT * FROM numbers(1) UNION ALL SELECT * FROM file('/etc/passwd')",
    "WITH x AS (SELECT * FROM file('/etc/passwd')) SELECT 1",
    "SELECT 1 IN (SELECT * FROM file('/etc/passwd'))",
    "SELECT 1 IN system.users",
    "SELECT 1 NOT IN system.users",
    "SELECT 1 GLOBAL IN system.users",
    "SELECT * FROM system.users",
    "SELECT * FROM SyStEm.processes",
    "SELECT * FROM `system`.`query_log`",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM elsewhere.secrets",
    "SELECT * FROM {t:Identifier}",
    "SELECT * FROM { t : Identifier }",
    "DESCRIBE TABLE url('http://127.0.0.1:1/')",
    "DESCRIBE (SELECT * FROM file('/etc/passwd'))",
    "DESCRIBE TABLE file('/etc/passwd')",
    "SHOW CREATE TABLE system.users",
    "SHOW CREATE USER default",
    "SHOW GRANTS",
    "SHOW PROCESSLIST",
    "SHOW TABLES FROM elsewhere",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(10)",
    "SELECT dictGet('a', 'b', 1)",
    "SELECT getClientHTTPHeader('X-ClickHouse-Key')",
    "SELECT aiGenerate('a')",
    "SELECT getMacro('a'), getServerSetting('b')",
    "SELECT 1 WHERE 1 = (SELECT\x00 1)",
    "SELECT '" + "a" * 70_000 + "'",
    # A function's name where an expression may stand.
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT arrayMap(`file`, ['/etc/hostname'])",
    "SELECT arraySort(\"FILE\", ['/etc/hostname'])",
    "SELECT arrayMap(/**/File/**/, ['/etc/hostname']) AS file",
    "WITH file AS g SELECT arrayMap(g, ['/etc/hostname'])",
    "WITH x -> 1 AS file SELECT (SELECT file('/etc/hostname'))",
    "SELECT mapApply(file, map('a', 'b'))",
    "SELECT arrayMap((file), ['/etc/hostname'])",
    "SELECT arrayMap(f -> arrayMap(file, f), [['/etc/hostname']])",
    "SELECT arrayReduce('sum', [1])",
    "SELECT CAST(unhex('00') AS AggregateFunction(uniq, UInt8))",
    "SELECT '00'::AggregateFunction(uniq, UInt8)",
    "SELECT CAST('00', concat('Aggregate', 'Function(uniq, UInt8)'))",
    "SELECT {pool:AggregateFunction(uniq, UInt8)}",
    "SELECT formatRow('Template', 1)",
    "SELECT sumState(1), uniqMerge(x) FROM (SELECT 1 AS x)",
    # What takes far longer than its text is long.
    "SELECT arrayLevenshteinDistance(range(300000), range(300000))",
    "SELECT editDistance(repeat('a', 60000), repeat('b', 60000))",
    "WITH c0 AS (SELECT 1 AS n), "
    + ", ".join(f"c{i + 1} AS (SELECT 1 FROM c{i} AS x, c{i} AS y)" for i in range(25))
    + " SELECT count() FROM c25",
    "WITH 1 AS a0, " + ", ".join(f"a{i} + a{i} AS a{i + 1}" for i in range(25)) + " SELECT a25",
    "SELECT " + "(" * 400 + "1" + " + 1)" * 400,
    "SELECT " + " + ".join("1" for _ in range(12_000)),
    # What the engine's tree does not show.
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
    "SELECT COLUMNS('a') APPLY/**/(`file`) FROM (SELECT '/etc/passwd' AS a)",
    "SELECT t.* EXCEPT (b) APPLY(file) FROM (SELECT '/etc/passwd' AS a, 1 AS b) AS t",
    "WITH x AS (SELECT * APPLY(file) FROM (SELECT '/etc/passwd')) SELECT * FROM x",
    "DESCRIBE (SELECT * APPLY(file) FROM (SELECT '/etc/passwd'))",
    "SHOW TABLES WHERE file('/etc/passwd') LIKE 'root%'",
    "SHOW TABLES WHERE/**/name = (SELECT file('/etc/passwd'))",
    "SHOW TABLES LIMIT length(file('/etc/passwd'))",
    "SHOW TABLES LIKE 'a' LIMIT 1",
    "SHOW SETTINGS LIKE '%'",
    "SHOW CLUSTERS",
    "SHOW DATABASES",
    "SHOW FULL TABLES FROM system",
    "SHOW CREATE DATABASE system",
    # Names that look like parts of the tree.
    "SELECT * FROM 'a\n      TableExpression'",
    'SELECT "a (children 1)" FROM (SELECT 1 AS "a (children 1)")',
    "SELECT (SELECT 1 FROM 'a\n          ExpressionList (children 1)') IN system.users",
    # Clauses behind comments and quotes.
    "SELECT 1 FORMAT/**/Null",
    "SELECT 1 FORMAT `Null`",
    "SELECT 1 FORMAT -- a\n Null SETTINGS/**/max_result_rows = 0",
    "SELECT 1 SETTINGS/**/readonly/**/=/**/0",
    "SELECT 1 SETTINGS `readonly` = 0",
    "SELECT * FROM numbers(1, SETTINGS readonly = 0)",
    "(SELECT 1 INTO OUTFILE '/tmp/x')",
    "SELECT * FROM (SELECT 1 INTO OUTFILE '/tmp/x')",
    "SELECT 1 INTO OUTFILE '/tmp/x' TRUNCATE AND STDOUT",
    "SELECT 1 PARALLEL WITH DROP TABLE raw_swaps",
    "SELECT 1 PARALLEL WITH INSERT INTO raw_swaps (slot) SELECT 1",
    "SELECT 1\\G DROP TABLE raw_swaps",
    "SELECT '\x00'",
    "SELECT * FROM (EXPLAIN SELECT 1)",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))",
    "SELECT * FROM view(SELECT * FROM file('/etc/passwd'))",
    "SELECT * FROM raw_swaps, LATERAL url('http://127.0.0.1:1/')",
    "SELECT * FROM raw_swaps JOIN file('/etc/passwd') AS f ON 1",
    "SELECT * REPLACE (file('/etc/passwd') AS a) FROM (SELECT 1 AS a)",
    "SELECT 1 AS a ORDER BY a WITH FILL INTERPOLATE (a AS file('/etc/passwd'))",
    "SELECT sum(1) OVER (ORDER BY file('/etc/passwd'))",
    "SELECT 1 IN (system.users)",
    "WITH system.users AS u SELECT 1 IN u",
    "SELECT in(1, system.users)",
    "SELECT joinGet('system.users', 'a', 1)",
    "SELECT hasColumnInTable('system', 'users', 'name')",
    "SELECT tcpPort(), displayName()",
    "SELECT * FROM iceberg('http://127.0.0.1:1/a')",
    "SELECT * FROM hudi('http://127.0.0.1:1/a')",
    "SELECT * FROM system.named_collections AS c JOIN numbers(1) ON 1",
    "SELECT * FROM system.settings",
    "SELECT * FROM system.user_directories",
    "EXECUTE AS default SELECT 1",
    "FROM raw_swaps SELECT 1",
    "VALUES (1)",
]


@pytest.fixture
def tree(clickhouse_server, database):
    """Check a statement as the endpoint does."""
    reader = ClickHouseReader(
        ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    )

    async def check(statement, columns=""):
        text, statement = statement, statement.strip().rstrip(";")
        functions = await reader.functions()
        given = {"pool": "a", "t": "one", "columns": columns}
        await reader.explain(
            statement, given, lambda: check_text(text), lambda tree: check_tree(tree, database, functions)
        )
        return await reader.read(statement, "JSONCompact", {"pool": "a", "columns": columns})

    yield check
    reader.close()


@pytest.mark.parametrize("statement", GOOD)
async def test_what_reads_passes(tree, statement):
    assert await tree(statement)


@pytest.mark.parametrize("statement", BAD, ids=range(len(BAD)))
async def test_what_does_not_is_refused_before_it_runs(tree, statement):
    with pytest.raises(Refused) as refused:
        await tree(statement)
    # What ClickHouse cannot even parse was not run either.
    assert refused.value.reason in (
        "NOT_A_READ",
        "ONE_STATEMENT",
        "STATEMENT_REFUSED",
        "TABLE_REFUSED",
        "FUNCTION_REFUSED",
        "TOO_LARGE",
        "STATEMENT_TOO_LARGE",
    ) or any(word in refused.value.message for word in ("SYNTAX_ERROR", "TOO_DEEP", "TOO_BIG"))


#: Pieces that a lexer might read to the text's end again and again: each took minutes, with every call waiting.
LONG = [
    "'" + "\\'" * 32_000,
    '"' + '\\"' * 32_000,
    "`" + "\\`" * 32_000,
    "/*" * 32_000,
    "{a:" + " " * 60_000,
    "{a:(" * 16_000,
]


@pytest.mark.parametrize("piece", LONG, ids=[piece[:4] for piece in LONG])
def test_a_text_is_read_once_however_it_is_quoted(piece):
    with pytest.raises(Refused) as refused:
        check_text("SELECT " + piece)
    assert refused.value.reason == "STATEMENT_REFUSED"


def test_a_tree_of_many_parts_is_refused_before_it_is_looked_at():
    with pytest.raises(Refused) as refused:
        check_tree("SelectWithUnionQuery (children 1)\n" + "what is this\n" * 10_000, "mevflow", frozenset())
    assert refused.value.reason == "STATEMENT_TOO_LARGE"


#: Wherever an expression may stand.
PLACES = [
    "SELECT {}",
    "SELECT {}::String",
    "SELECT CAST({} AS String)",
    "SELECT [{}]",
    "SELECT tuple({}).1",
    "SELECT CASE WHEN 1 THEN {} END",
    "SELECT '/etc/hostname' AS p WHERE {} != ''",
    "SELECT arrayMap(x -> {}, [1])",
    "WITH x -> {} AS g SELECT g(1)",
    "WITH {} AS x SELECT x",
    "WITH (SELECT {}) AS x SELECT x",
    "WITH x AS (SELECT {}) SELECT 1",
    "SELECT (SELECT 1 UNION ALL SELECT length({}))",
    "SELECT 1 INTERSECT SELECT length({})",
    "SELECT 1 IN (SELECT {})",
    "SELECT exists(SELECT {})",
    "SELECT * FROM values('a String', {})",
    "SELECT * FROM numbers(length({}))",
    "SELECT * FROM (SELECT {})",
    "SELECT * EXCEPT (a) REPLACE ({} AS b) FROM (SELECT 1 AS a, 2 AS b)",
    "SELECT 1 FROM raw_swaps PREWHERE {} = ''",
    "SELECT 1 FROM numbers(1) AS a JOIN numbers(1) AS b ON a.number = b.number AND {} = ''",
    "SELECT 1 FROM numbers(1) ARRAY JOIN [{}] AS x",
    "SELECT 1 GROUP BY {}",
    "SELECT 1 HAVING {} != ''",
    "SELECT 1 QUALIFY {} != ''",
    "SELECT 1 ORDER BY {}",
    "SELECT 1 AS a ORDER BY a WITH FILL FROM length({})",
    "SELECT 1 AS a ORDER BY a WITH FILL STEP length({})",
    "SELECT 1 AS a ORDER BY a WITH FILL INTERPOLATE (b AS {})",
    "SELECT 1 LIMIT length({})",
    "SELECT 1 LIMIT 1 BY {}",
    "SELECT 1 LIMIT 1 OFFSET length({})",
    "SELECT DISTINCT ON ({}) 1",
    "SELECT sum(1) FILTER (WHERE {} = '')",
    "SELECT quantile(length({}))(1)",
    "SELECT rank() OVER (PARTITION BY {})",
    "SELECT sum(1) OVER (ORDER BY 1 ROWS BETWEEN length({}) PRECEDING AND CURRENT ROW)",
    "SELECT sum(1) OVER w WINDOW w AS (ORDER BY {})",
    "SELECT INTERVAL length({}) DAY",
    "SELECT extract(YEAR FROM {})",
    "DESCRIBE (SELECT {})",
    "DESCRIBE TABLE numbers(length({}))",
]


@pytest.mark.parametrize("place", PLACES)
async def test_no_place_hides_a_function(tree, place):
    for call in ("file('/etc/hostname')", "`FILE`('/etc/hostname')", "/**/File -- \n ('/etc/hostname')"):
        with pytest.raises(Refused) as refused:
            await tree(place.format(call))
        assert refused.value.reason == "FUNCTION_REFUSED" or "SYNTAX_ERROR" in refused.value.message


#: Wherever a name may stand for a function.
NAMED = [
    "SELECT {}(x -> x, ['/etc/hostname'])",
    "SELECT x FROM (SELECT 1 AS x) WHERE {}",
    "SELECT (1, {})",
    "SELECT [{}]",
    "SELECT {} AS g, arrayMap(g, ['/etc/hostname'])",
    "WITH {} AS g SELECT arrayMap(g, ['/etc/hostname'])",
    "WITH (x -> {}(x)) AS g SELECT arrayMap(g, ['/etc/hostname'])",
    "SELECT arrayMap(x -> {}, ['/etc/hostname'])",
    "SELECT 1 GROUP BY {}",
    "SELECT 1 ORDER BY {}",
    "SELECT 1 LIMIT 1 BY {}",
    "SELECT quantile({})(1)",
    "SELECT sum(1) OVER (PARTITION BY {})",
    "SELECT * REPLACE ({} AS a) FROM (SELECT 1 AS a)",
    "SELECT * APPLY({}) FROM (SELECT '/etc/hostname')",
    "SELECT * FROM values('a String', {})",
    "SELECT 1 ARRAY JOIN {} AS x",
    "SELECT 1 IN (SELECT {})",
    "SELECT CASE WHEN 1 THEN {} END",
]


async def test_every_function_is_refused_as_a_bare_name_wherever_one_may_stand(tree, clickhouse_client, database):
    """All of the engine's that are not allowed, at every higher-order function and in every other place."""
    found = {row[0] for row in clickhouse_client.query("SELECT name FROM system.functions").result_rows}
    foreign = sorted(name for name in found if not allowed(name))
    higher = sorted(name for name in found if name.startswith(("array", "map")) and allowed(name))
    assert "file" in foreign
    assert len(foreign) > 500
    assert len(higher) > 80
    functions = frozenset(name.lower() for name in found)
    function = " ExpressionList (children 1)\n  SelectQuery (children 1)\n   ExpressionList (children 1)\n"
    for name in foreign:  # the tree as the engine prints it (below it does), so that all pairs take a second
        for outer in higher:
            text = (
                f"SelectWithUnionQuery (children 1)\n{function}    Function {outer} (children 1)\n"
                f"     ExpressionList (children 2)\n      Identifier {name}\n      Literal Array_['/etc/hostname']\n"
            )
            with pytest.raises(Refused):
                check_tree(text, database, functions)
    for place in [*NAMED, *(f"SELECT {outer}({{}}, ['/etc/hostname'])" for outer in higher)]:
        for name in ("file", "`FILE`", "joinGet", "hostName"):
            with pytest.raises(Refused) as refused:
                await tree(place.format(name))
            assert refused.value.reason in ("FUNCTION_REFUSED", "STATEMENT_REFUSED", "QUERY_FAILED"), place


async def test_no_allowed_name_is_another_functions_in_other_letters(clickhouse_client):
    """Names are compared in lower case; the engine tells some apart by case."""
    rows = clickhouse_client.query("SELECT name, alias_to FROM system.functions").result_rows
    same = {}
    for name, alias in rows:
        same.setdefault(name.lower(), set()).add((alias or name).lower())
    assert not {name: found for name, found in same.items() if name in ALLOWED and not all(map(allowed, found))}


async def test_no_column_that_may_be_read_bears_a_refused_name(clickhouse_client, database):
    functions = {row[0].lower() for row in clickhouse_client.query("SELECT name FROM system.functions").result_rows}
    rows = clickhouse_client.query(
        f"SELECT DISTINCT name FROM system.columns WHERE database IN ('{database}', 'system') "
        f"AND (database = '{database}' OR table IN ('tables', 'columns', 'databases', 'parts', 'functions', 'formats'))"
    ).result_rows
    assert not [name for (name,) in rows if name.lower() in functions and not allowed(name)]


async def test_no_other_function_reads_or_reaches_out(clickhouse_client, clickhouse_server):
    """Of those that take a text: called with the path of a file that the engine may open, and with an address."""
    mark = clickhouse_server.var / "clickhouse" / "mark.csv"
    mark.write_text("marked\n")
    mark.chmod(0o600)
    assert "marked" in str(clickhouse_client.command(f"SELECT file('{mark}')"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/mark"
        found = clickhouse_client.query(
            "SELECT name FROM system.functions WHERE NOT is_aggregate AND alias_to = '' "
            "AND NOT match(name, '^(to|parse|date|time|JSON|bit|geo|h3|s2|array|map|emptyArray|series)[A-Z0-9]')"
        )
        names = {row[0] for row in found.result_rows if allowed(row[0])}
        assert len(names) > 200
        for name in names:
            for given_ in (str(mark), address):
                with contextlib.suppress(DatabaseError):
                    answer = clickhouse_client.command(f"SELECT `{name}`('{given_}')")
                    assert "marked" not in str(answer), name
        with pytest.raises(BlockingIOError):
            listener.accept()


#: Columns of a table function that say more than names and types.
COMPUTED = [
    "{0} UInt8, a String ALIAS {1}",
    "{0} UInt8, a String MATERIALIZED {1}",
    "{0} UInt8, a String DEFAULT {1}",
    "{0} UInt8, a String EPHEMERAL {1}",
    "{0} UInt8, a DEFAULT ({1})",
    "{0} UInt8, a ALIAS({1})",
    "{0} UInt8, a/**/ALIAS/**/{1}",
    "{0} UInt8, a String\n-- x\nALIAS {1}",
    "{0} UInt8, `a` String ALIAS {1}",
    '{0} UInt8, "a" Array(String) ALIAS arrayMap(x -> {1}, [1])',
    "{0} UInt8, a String CODEC(NONE) ALIAS {1}",
    "{0} UInt8, a String ALIAS {1} COMMENT 'x'",
    "{0} UInt8, a DateTime TTL a + length({1})",
    "{0} UInt8, CONSTRAINT c CHECK {1} = ''",
    "{0} UInt8, a AggregateFunction(sum, UInt64)",
    "{0} UInt8, a Array(AggregateFunction(sum, UInt64))",
]
#: Where such a text may stand, as a literal and otherwise.
STRUCTURES = [
    "SELECT a FROM values({0}, 1)",
    "SELECT a FROM VALUES({0} AS x, 1)",
    "SELECT a FROM values(({0}), 1)",
    "SELECT * FROM null({0})",
    "SELECT * FROM `null`({0})",
    "SELECT * FROM SQLStandardValues({0}, 1)",
    "SELECT a FROM values(concat({0}, ''), 1)",
    "SELECT * FROM null({0} || '')",
    "WITH {0} AS s SELECT a FROM values(s, 1)",
    "WITH {0} AS s SELECT * FROM null(s)",
    "SELECT * FROM null((SELECT {0}))",
    "SELECT 1 IN (SELECT a FROM values({0}, 1))",
    "SELECT 1 FROM numbers(1) AS n JOIN values({0}, 1) AS v ON n.number = v.b",
    "DESCRIBE values({0}, 1)",
    "DESCRIBE TABLE null({0})",
    "SELECT a FROM values({{columns:String}}, 1)",
]


@pytest.mark.parametrize("columns", COMPUTED)
async def test_no_columns_of_a_table_function_call_another(tree, columns):
    """They are a text in ClickHouse's tree, and once called any function of the engine: ``ALIAS file('…')``."""
    for call in ("hostName()", "file('/proc/self/cmdline')"):
        text = columns.format("b", call)
        literal = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        for place in STRUCTURES:
            with pytest.raises(Refused) as refused:
                await tree(place.format(literal), text.replace("\n", "\\n").replace("'", "\\'"))
            assert refused.value.reason == "STATEMENT_REFUSED" or "SYNTAX_ERROR" in refused.value.message, place


async def test_every_table_function_of_the_engine_is_refused_but_the_harmless(tree, clickhouse_client):
    found = {row[0] for row in clickhouse_client.query("SELECT name FROM system.table_functions").result_rows}
    assert len(found) > 50
    for name in found:
        if name.lower() not in TABLE_FUNCTIONS and not name.startswith("view"):  # those take a query
            with pytest.raises(Refused) as refused:
                await tree(f"SELECT * FROM {name}('a', 'b')")
            assert refused.value.reason == "FUNCTION_REFUSED", name


_MARKS = [
    ";",
    "'",
    '"',
    "`",
    "--",
    "/*",
    "*/",
    "#",
    "# ",
    "#!",
    "$$",
    "\\",
    "(",
    ")",
    ",",
    "''",
    "\u201c",
    "\u2019",
    "\n",
]
_PIECES = st.sampled_from([*_MARKS, "SELECT", "1", "FROM", "AS", "{a:String}", " ", "\t", "DROP TABLE marked"])


@THREADS_DRAW
async def test_no_mix_of_quotes_and_comments_gets_a_second_statement_through(tree, clickhouse_client, database):
    table = f"{database}.marked"
    clickhouse_client.command(f"CREATE TABLE {table} (a Int8) ENGINE = Memory")
    loop = asyncio.get_running_loop()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_PIECES, max_size=14).map(lambda pieces: "SELECT 1 " + " ".join(pieces)))
    def mixes(statement):
        async def run():
            try:
                await tree(statement)
            except Refused:
                return

        asyncio.run_coroutine_threadsafe(run(), loop).result(20)

    await asyncio.to_thread(mixes)
    assert clickhouse_client.command(f"EXISTS TABLE {table}") == 1
