"""One statement on the engine: its database, its settings, its data in, its answer out."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from mevflow.clickhouse.server.engine import Connection, Counts, Engine, identifier, literal
from mevflow.clickhouse.server.errors import (
    CANNOT_READ_ALL_DATA,
    INTO_OUTFILE_NOT_ALLOWED,
    QUERY_IS_TOO_LARGE,
    READONLY,
    SYNTAX_ERROR,
    ServerError,
    refuse,
)
from mevflow.clickhouse.server.native import Revision
from mevflow.clickhouse.server.queries import NAME_OF, RunningQueries, mark
from mevflow.clickhouse.server.request import Request
from mevflow.clickhouse.server.sessions import EngineSessions
from mevflow.clickhouse.server.spool import Spool
from mevflow.clickhouse.server.statement import Insert, Statement, by_query_id, parse, with_query_ids

#: Formats whose blocks can follow each other without a header or a footer, so that an answer can be streamed.
_STREAMABLE = frozenset(
    (
        "Native",
        "RowBinary",
        "CSV",
        "TSV",
        "TabSeparated",
        "TSVRaw",
        "TabSeparatedRaw",
        "JSONEachRow",
        "JSONLines",
        "NDJSON",
        "JSONStringsEachRow",
        "JSONCompactEachRow",
        "JSONCompactStringsEachRow",
        "LineAsString",
    )
)
_READERS = frozenset(("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "VALUES"))
#: Values, a semicolon outside quotes, and more.
_MORE_VALUES = re.compile(
    rb"""(?:[^;'"`]++|'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+"|`(?:[^`\\]++|\\.)*+`)*+;[;\s]*+[^;\s]""", re.DOTALL
)
#: So much of a body is read to find where the statement ends and its data begins: ClickHouse's max_query_size.
HEAD_BYTES = 256 << 10
#: The longest statement, its data aside.
MOST_STATEMENT_BYTES = 4 << 20


@dataclass(frozen=True)
class ExternalTable:
    """A table that travels with the query: name, structure (``a Int8, b String``), format and bytes."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass
class QueryAnswer:
    """The answer: its format (empty: the statement has no result), its bytes in pieces, and the counts so far."""

    format: str
    pieces: Iterator[bytes]
    counts: Counts = field(default_factory=Counts)
    #: Ends a query whose pieces were not all taken; the engine must hear of it before its connection is used again.
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class QueryJob:
    """A request with its body, and whether its sender still waits: what nobody waits for is not written."""

    request: Request
    user: str
    body: Spool
    tables: list[ExternalTable]
    awaited: Callable[[], bool]


class Executor:
    """Runs requests against the engine. Safe to call from any number of threads."""

    def __init__(self, engine: Engine, sessions: EngineSessions) -> None:
        self._engine = engine
        self._sessions = sessions
        self._queries = RunningQueries(engine)

    @contextmanager
    def run(self, job: QueryJob) -> Iterator[QueryAnswer]:
        """Run the request's statement. The answer's pieces must be taken inside the ``with``. Raises ServerError."""
        request = job.request
        text, statement = _read(request, job.body)
        if statement.names_file:
            raise refuse(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
        if statement.several:
            raise refuse(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
        if request.method in ("GET", "HEAD") and statement.verb not in _READERS:
            raise refuse(
                READONLY,
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
                "You should use method POST for modifying queries.",
            )
        with self._queries.claimed(request), self._connection(request, job.user, statement) as connection:
            for table in job.tables:
                _upload(connection, table, self._engine)
            answer = _execute(connection, job, text, statement, self._engine)
            try:
                yield answer
            finally:
                answer.close()

    @contextmanager
    def _connection(self, request: Request, user: str, statement: Statement) -> Iterator[Connection]:
        """The session's connection with the request's settings for this one statement, or a fresh one."""
        level = request.settings.get("readonly", "0") or "0"
        if level == "0" and request.method != "POST" and not request.session_id:
            level = "2"  # reads, and settings of its own
        read_only = level != "0"
        # A read-only connection cannot be given its rights back, so it is never a session's.
        if request.session_id and not read_only:
            with (
                self._sessions.use(
                    user, request.session_id, request.session_timeout_s, request.session_check
                ) as connection,
                _database_for_once(connection, request.database, keeps=statement.verb == "USE"),
                _settings_for_once(connection, request),
            ):
                yield connection
            return
        with closing(self._engine.connect()) as connection:
            if request.database:
                connection.use(request.database)
            # ``readonly`` comes last: it forbids all that would follow.
            settings = {name: value for name, value in request.settings.items() if name != "readonly"}
            if request.named:
                settings["log_comment"] = mark(settings.get("log_comment", ""), request.query_id)
            _set(connection, {**settings, **({"readonly": level} if read_only else {})})
            yield connection


def _read(request: Request, body: Spool) -> tuple[bytes, Statement]:
    """The statement's text, to where its data begins, and what it is. The query parameter and the body are one text."""
    query = _query(request)
    text = query + body.read(HEAD_BYTES)
    statement = parse(text.decode("latin-1"))
    if statement.insert is not None:
        return text[: statement.insert.data_at], statement
    if body.size > HEAD_BYTES:
        if len(query) + body.size > MOST_STATEMENT_BYTES:
            raise refuse(QUERY_IS_TOO_LARGE, f"the statement has more than {MOST_STATEMENT_BYTES} bytes")
        text = query + body.read(body.size)
        statement = parse(text.decode("latin-1"))
    return text, statement


def _query(request: Request) -> bytes:
    query = request.query.encode("utf-8", "surrogateescape")
    return query.rstrip() + b"\n" if query.strip() else b""


def _execute(connection: Connection, job: QueryJob, text: bytes, statement: Statement, engine: Engine) -> QueryAnswer:
    request = job.request
    if statement.insert is not None:
        with _data(request, job.body, statement.insert, engine) as data:
            if not job.awaited():
                raise ConnectionAbortedError("the sender of an INSERT went away before it ran")
            counts = _insert(connection, request, statement.insert, data)
        return QueryAnswer("", iter(()), counts)
    if b"query_id" in text and statement.verb == "KILL":
        text = by_query_id(text.decode("latin-1"), NAME_OF).encode("latin-1")
    elif b"query_id" in text and b"processes" in text:
        named = with_query_ids(text.decode("latin-1"), NAME_OF)
        text, statement = named.encode("latin-1"), parse(named)  # its clauses stand elsewhere now
    form = statement.format or request.default_format
    revision = Revision(request.protocol_version if form == "Native" else 0)
    selects = statement.verb in ("SELECT", "WITH")
    if selects and form in _STREAMABLE and (not request.wait_end or revision.changes):
        if revision.changes:
            start, end = statement.format_at
            revision.learn(connection, text[:start] + text[end:] if end else text, request.params)
        blocks = connection.stream(text, form, request.params)
        first = next(blocks, None)
        if first is not None:
            answer = QueryAnswer(form, iter(()), close=blocks.close)
            answer.pieces = _counted(answer, itertools.chain([first], blocks), revision)
            return answer
    whole, counts = connection.query(text, form, request.params)
    if revision.changes:
        whole = revision.apply_single(whole, counts.result_rows)
    return QueryAnswer(form if whole or statement.answers else "", iter((whole,)), counts)


def _counted(answer: QueryAnswer, blocks: Iterator[tuple[bytes, Counts]], revision: Revision) -> Iterator[bytes]:
    """The blocks as they leave; the answer's counts follow what was taken."""
    for block, answer.counts in blocks:
        if block:
            yield revision.apply(block) if revision.changes else block


@contextmanager
def _data(request: Request, body: Spool, insert: Insert, engine: Engine) -> Iterator[Spool]:
    """The INSERT's data alone: the body itself, unless the statement or some data stands before it."""
    query = _query(request)
    before = query[insert.data_at :]
    if query and len(query) >= insert.data_at and not before.strip():
        yield body
        return
    with Spool(engine.path) as data:
        data.write(before)
        for piece in body.pieces(max(0, insert.data_at - len(query))):
            data.write(piece)
        yield data


def _insert(connection: Connection, request: Request, insert: Insert, data: Spool) -> Counts:
    head = insert.head.encode("latin-1")
    if insert.format.upper() == "VALUES" and data.matches(_MORE_VALUES):
        # The engine would ignore it in silence.
        raise refuse(CANNOT_READ_ALL_DATA, "Cannot read data after semicolon")
    if not insert.structure:
        settings = insert.settings.encode("latin-1")
        return connection.insert(head, settings, insert.format, data.path, request.params)
    if not data.size:
        return Counts()
    # ``input(structure)`` reads the data that follows the statement: a file to the engine.
    start, end = insert.input_at
    structure = insert.structure.encode("latin-1").decode("utf-8", "surrogateescape")
    call = f"file({literal(data.path)}, {literal(insert.format)}, {literal(structure)}, 'none')"
    sql = head[:start] + call.encode("utf-8", "surrogateescape") + head[end:]
    return connection.query(sql, "TabSeparated", request.params)[1]


def _upload(connection: Connection, table: ExternalTable, engine: Engine) -> None:
    """Make an external table: a temporary one, replaced when the session has one of that name."""
    name = identifier(table.name)
    connection.query(f"CREATE OR REPLACE TEMPORARY TABLE {name} ({table.structure}) ENGINE = Memory", "TSV")
    with Spool(engine.path) as data:
        data.write(table.data)
        connection.insert(f"INSERT INTO {name}".encode(), b"", table.format, data.path, {})


def _set(connection: Connection, settings: Mapping[str, str]) -> None:
    if settings:
        pairs = ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())
        connection.query(f"SET {pairs}", "TSV")


@contextmanager
def _database_for_once(connection: Connection, database: str, keeps: bool) -> Iterator[None]:
    """The ``database`` parameter holds for one statement; what a USE chose (``keeps``) stays."""
    before = connection.database
    if database:
        connection.use(database)
    try:
        yield
    finally:
        if keeps:
            connection.refresh_database()
        elif database:
            with suppress(ServerError):  # it was dropped by this very statement
                connection.use(before)


@contextmanager
def _settings_for_once(connection: Connection, request: Request) -> Iterator[None]:
    """Settings of one request of a session: in force for its statement, then as they were."""
    wanted = dict(request.settings)
    before = _changed(connection, wanted) if wanted else {}
    if request.named:
        wanted["log_comment"] = mark(wanted.get("log_comment", ""), request.query_id)
    elif connection.marked:
        wanted.setdefault("log_comment", "")
    try:
        _set(connection, wanted)
        connection.marked = request.named
    except ServerError:
        if request.settings:
            raise  # else the session is read-only by a SET of its own, and has no room for a mark
    try:
        yield
    finally:
        undo = [f"{name} = {literal(before[name]) if name in before else 'DEFAULT'}" for name in request.settings]
        # A setting that forbids being changed back (readonly by SET) stays, as it does in ClickHouse.
        if undo:
            with suppress(ServerError):
                connection.query(f"SET {', '.join(undo)}", "TSV")


def _changed(connection: Connection, names: Mapping[str, str]) -> dict[str, str]:
    """Those of ``names`` that the session has set, with their values."""
    among = ", ".join(literal(name) for name in names)
    answer, _ = connection.query(
        f"SELECT name, value FROM system.settings WHERE changed AND name IN ({among})", "JSONCompactEachRow"
    )
    return dict(json.loads(line) for line in answer.decode().splitlines())
