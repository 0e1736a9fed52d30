"""clickhouse-connect clients, made one way everywhere."""

from __future__ import annotations

import logging
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager

from mevflow.clickhouse.tls import tls_of
from mevflow.operators.errors import MevflowError, UnreachableError

#: Code of "wrong password or no such user" and "a password is required".
_AUTH_CODES = (193, 194, 516)
_TLS = "is it the HTTPS port? does MEVFLOW_CLICKHOUSE__CA name who signed the server's certificate?"


def connect(
    host: str = "127.0.0.1",
    port: int = 8123,
    *,
    user: str = "default",
    password: str = "",
    database: str = "",
    timeout_s: float = 300.0,
    settings: dict[str, Any] | None = None,
    connections: int = 8,
) -> Client:
    """A client for any ClickHouse. Threads may share it: it uses no server-side session, and ``connections`` sockets.

    Bodies are not compressed on loopback, where that only costs time. By TLS where :mod:`.tls` says so.
    Raises UnreachableError when nothing answers, MevflowError when the server refuses (user, password, database).
    """
    where = f"{host}:{port}"
    tls = tls_of(host, port)
    # The drivers log stack traces and whole requests before they raise; the raised error says it all.
    for name in ("clickhouse_connect", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return clickhouse_connect.get_client(
            host=host,
            port=port,
            username=user,
            password=password,
            database=database or "__default__",
            compress=host not in ("127.0.0.1", "localhost", "::1"),
            autogenerate_session_id=False,
            send_receive_timeout=int(timeout_s),
            connect_timeout=5,
            query_retries=0,
            settings=settings,
            interface="https" if tls is not None else "http",
            pool_mgr=get_pool_manager(maxsize=connections, **(tls.pool_options() if tls is not None else {})),
        )
    except ClickHouseError as error:
        code = getattr(error, "code", None)
        if code in _AUTH_CODES:
            raise MevflowError(
                f"ClickHouse at {where} refused user {user!r}",
                hint="set MEVFLOW_CLICKHOUSE__USER and MEVFLOW_CLICKHOUSE__PASSWORD",
            ) from None
        if code:
            raise MevflowError(f"ClickHouse at {where} refused the connection: {error}") from None
        if tls is not None:
            raise UnreachableError(f"no ClickHouse answers at {where} by TLS: {error}", hint=_TLS) from None
        raise UnreachableError(
            f"no ClickHouse answers at {where}", hint="start one with: mevflow clickhouse start"
        ) from None
    except OSError as error:
        raise UnreachableError(f"no ClickHouse answers at {where}: {error}") from None
