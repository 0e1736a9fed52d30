"""One statement on the engine: its database, its settings, its data in, its answer out."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from mevflow.clickhouse.server.engine import Connection, Counts, Engine, identifier, literal
from mevflow.clickhouse.server.errors import INTO_OUTFILE_NOT_ALLOWED, READONLY, ServerError, refuse
from mevflow.clickhouse.server.request import Request
from mevflow.clickhouse.server.sessions import Sessions
from mevflow.clickhouse.server.statement import Insert, Statement, parse

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
#: Of a body without a ``query`` parameter, so much is read to find where the statement ends.
HEAD_BYTES = 256 << 10


@dataclass(frozen=True)
class ExternalTable:
    """A table that travels with the query: name, structure (``a Int8, b String``), format and bytes."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass
class Answer:
    """The answer: its format, its bytes in pieces, and what is known of the counts before the first piece."""

    format: str
    pieces: Iterator[bytes]
    counts: Counts = field(default_factory=Counts)
    #: Ends a query whose pieces were not all taken; the engine must hear of it before its connection is used again.
    close: Callable[[], None] = lambda: None


class Executor:
    """Runs requests against the engine. Safe to call from any number of threads."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._engine = engine
        self._sessions = sessions

    @contextmanager
    def run(self, request: Request, user: str, body: Iterator[bytes], tables: list[ExternalTable]) -> Iterator[Answer]:
        """Run the request's statement. The answer's pieces must be taken inside the ``with``. Raises ServerError."""
        text, statement, data = _split(request, body)
        if statement.names_file:
            raise refuse(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
        if request.method in ("GET", "HEAD") and statement.verb not in _READERS:
            raise refuse(
                READONLY,
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
                "You should use method POST for modifying queries.",
            )
        with self._connection(request, user) as connection:
            for table in tables:
                _upload(connection, table)
            answer = _execute(connection, request, text, statement, data)
            try:
                yield answer
            finally:
                answer.close()
            if statement.verb == "USE":
                connection.refresh_database()

    @contextmanager
    def _connection(self, request: Request, user: str) -> Iterator[Connection]:
        """The session's connection with the request's settings for this one statement, or a fresh one."""
        level = request.settings.get("readonly", "0") or "0"
        if level == "0" and request.method != "POST" and not request.session_id:
            level = "2"  # reads, and settings of its own
        read_only = level != "0"
        # A read-only connection cannot be given its rights back, so it is never a session's.
        if request.session_id and not read_only:
            with self._sessions.use(
                user, request.session_id, request.session_timeout_s, request.session_check
            ) as connection:
                if request.database:
                    connection.use(request.database)
                with _settings_for_once(connection, request.settings):
                    yield connection
            return
        with closing(self._engine.connect()) as connection:
            if request.database:
                connection.use(request.database)
            others = {name: value for name, value in request.settings.items() if name != "readonly"}
            _set(connection, others)
            if read_only:
                _set(connection, {"readonly": level})
            yield connection


def _split(request: Request, body: Iterator[bytes]) -> tuple[bytes, Statement, Iterator[bytes]]:
    """Tell the statement from its data: (text, what it is, data). Everything is text unless it is INSERT data."""
    if request.query:
        text = request.query.encode("utf-8", "surrogateescape")
        statement = parse(text.decode("latin-1"))
        if statement.insert is not None:
            rest = text[statement.insert.data_at :]
            return text, statement, itertools.chain([rest] if rest.strip() else [], body)
        more = b"".join(body)
        return (text + b"\n" + more if more else text), statement, iter(())
    pieces = []
    size = 0
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= HEAD_BYTES:
            break
    head = b"".join(pieces)
    statement = parse(head[:HEAD_BYTES].decode("latin-1"))
    insert = statement.insert
    if insert is None or insert.data_at >= HEAD_BYTES or (size < HEAD_BYTES and insert.format == "Values"):
        # VALUES may hold expressions, which only a whole statement can.
        text = head + b"".join(body)
        if insert is not None and insert.format == "Values":
            return text, Statement("INSERT"), iter(())
        return text, parse(text.decode("latin-1")), iter(())
    return head, statement, itertools.chain([head[insert.data_at :]], body)


def _execute(
    connection: Connection, request: Request, text: bytes, statement: Statement, data: Iterator[bytes]
) -> Answer:
    if statement.insert is not None:
        counts = _insert(connection, request, statement.insert, data)
        return Answer("TabSeparated", iter(()), counts)
    form = statement.format or request.default_format
    if statement.verb in ("SELECT", "WITH") and form in _STREAMABLE and not request.wait_end:
        blocks = connection.stream(text, form, request.params)
        first = next(blocks, None)
        if first is not None:
            rest = (block for block, _ in blocks)
            return Answer(form, itertools.chain([first[0]], rest), close=blocks.close)
    answer, counts = connection.query(text, form, request.params)
    return Answer(form, iter((answer,)), counts)


def _insert(connection: Connection, request: Request, insert: Insert, data: Iterator[bytes]) -> Counts:
    if request.params:
        pairs = ", ".join(f"param_{name} = {literal(value)}" for name, value in request.params.items())
        connection.query(f"SET {pairs}", "TSV")
    chunks = (piece for piece in data if piece)
    if insert.structure:
        return _insert_through(connection, insert, chunks)
    return connection.insert(_utf8(insert.head), insert.format, chunks)


def _insert_through(connection: Connection, insert: Insert, chunks: Iterator[bytes]) -> Counts:
    """INSERT … SELECT … FROM input(…): the engine cannot feed it, so the data waits in a temporary table."""
    name = f"_input_{uuid.uuid4().hex}"
    connection.query(f"CREATE TEMPORARY TABLE {name} ({_utf8(insert.structure)}) ENGINE = Memory", "TSV")
    try:
        connection.insert(f"INSERT INTO {name}", insert.format, chunks)
        start, end = insert.input_at
        head = _utf8(f"{insert.head[:start]}{name}{insert.head[end:]}")
        return connection.query(head, "TSV")[1]
    finally:
        connection.query(f"DROP TEMPORARY TABLE {name}", "TSV")


def _utf8(text: str) -> str:
    """Statements are cut as bytes read as Latin-1, so that positions in text and bytes are the same."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _upload(connection: Connection, table: ExternalTable) -> None:
    """Make an external table: a temporary one, replaced when the session has one of that name."""
    name = identifier(table.name)
    connection.query(f"CREATE OR REPLACE TEMPORARY TABLE {name} ({table.structure}) ENGINE = Memory", "TSV")
    connection.insert(f"INSERT INTO {name}", table.format, iter((table.data,)))


def _set(connection: Connection, settings: Mapping[str, str]) -> None:
    if settings:
        pairs = ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())
        connection.query(f"SET {pairs}", "TSV")


@contextmanager
def _settings_for_once(connection: Connection, wanted: Mapping[str, str]) -> Iterator[None]:
    """Settings of one request of a session: in force for its statement, then as they were."""
    if not wanted:
        yield
        return
    names = ", ".join(literal(name) for name in wanted)
    answer, _ = connection.query(
        f"SELECT name, value FROM system.settings WHERE changed AND name IN ({names})", "JSONCompactEachRow"
    )
    before = dict(json.loads(line) for line in answer.decode().splitlines())
    _set(connection, wanted)
    try:
        yield
    finally:
        undo = [f"{name} = {literal(before[name]) if name in before else 'DEFAULT'}" for name in wanted]
        # A setting that forbids being changed back (readonly by SET) stays, as it does in ClickHouse.
        with suppress(ServerError):
            connection.query(f"SET {', '.join(undo)}", "TSV")
