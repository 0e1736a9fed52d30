"""Dashboards and data source in a Grafana: what would be changed, and doing it. Running it again changes nothing.

Grafana's HTTP API: folders, data sources by uid, dashboards by uid. A service account with the role Editor may write
dashboards; the data source needs Admin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import urllib3

import mevflow
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError

#: Names and passwords have no place in an address: Grafana would show them.
ADDRESS, ADDRESS_CHARACTERS = r"^https?://[^\s@]+$", 500
DATABASE, DATABASE_CHARACTERS = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", 200
FOLDER_UID, SOURCE_UID, TABLES_UID = "mevflow", "mevflow-prometheus", "mevflow-clickhouse"
DASHBOARDS = Path(mevflow.__file__).parent / "ops" / "grafana"
_ANSWER_BYTES = 16 << 20
_MOST_DIFFERENCES = 20
#: What Grafana adds to a dashboard that it keeps.
_GRAFANAS = ("id", "version")
_HINT = "is --url that of a Grafana, and does the file hold a token of its service account?"

Action = Literal["create", "update", "same"]
Kind = Literal["folder", "datasource", "dashboard"]


@dataclass(frozen=True, slots=True)
class GrafanaChange:
    """One item: ``wanted`` is what is sent; ``differences`` name what changes, by path."""

    kind: Kind
    uid: str
    title: str
    action: Action
    wanted: dict[str, Any] = field(repr=False)
    differences: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As it is shown; what would be sent is not part of it."""
        return {
            "kind": self.kind,
            "uid": self.uid,
            "title": self.title,
            "action": self.action,
            "differences": list(self.differences),
        }


@dataclass(frozen=True, slots=True)
class GrafanaSources:
    """Where Grafana reads, as it reaches it. ``clickhouse_url``: for panels in SQL, which need the plug-in
    grafana-clickhouse-datasource; empty: no such data source is made.
    """

    prometheus_url: str = "http://127.0.0.1:9090"
    clickhouse_url: str = ""
    database: str = "default"


@dataclass(frozen=True, slots=True)
class GrafanaResult:
    """What became of an item; ``error`` is empty where it was done."""

    change: GrafanaChange
    error: str = ""


class Grafana:
    """One Grafana at ``url`` (``https://grafana.example.org/sub/path``), with a service account's ``token``."""

    def __init__(self, url: str, token: str, *, ca: str = "", timeout_s: float = 20.0) -> None:
        """Raises UsageError for what is no address."""
        _address(url, "a Grafana", "https://grafana.example.org", "url")
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(timeout_s), retries=False, ca_certs=ca or None)

    def plan(self, sources: GrafanaSources) -> list[GrafanaChange]:
        """What it takes that the folder, the data sources and all dashboards are as they come with mevflow.

        Raises UsageError, UnreachableError, MevflowError (the token is refused, or it answers nonsense).
        """
        wanted: list[tuple[Kind, str, str, dict[str, Any]]] = [
            ("folder", FOLDER_UID, "mevflow", {"uid": FOLDER_UID, "title": "mevflow"}),
            ("datasource", SOURCE_UID, "mevflow Prometheus", _source(sources)),
        ]
        if sources.clickhouse_url:
            wanted.append(("datasource", TABLES_UID, "mevflow ClickHouse", _tables(sources)))
        for path in sorted(DASHBOARDS.glob("*.json")):
            document = msgspec.json.decode(path.read_bytes())
            wanted.append(("dashboard", document["uid"], document["title"], document))
        return [self._planned(*each) for each in wanted]

    def apply(self, changes: list[GrafanaChange]) -> Iterator[GrafanaResult]:
        """Do what a plan says, item by item; one that fails does not stop the others."""
        for change in changes:
            error = ""
            if change.action != "same":
                try:
                    self._settle(change)
                except MevflowError as failed:
                    error = failed.message
            yield GrafanaResult(change, error)

    def _planned(self, kind: Kind, uid: str, title: str, wanted: dict[str, Any]) -> GrafanaChange:
        path = {"folder": "folders", "datasource": "datasources/uid", "dashboard": "dashboards/uid"}[kind]
        found = self._ask("GET", f"/api/{path}/{uid}", missing=True)
        if found is None:
            return GrafanaChange(kind, uid, title, "create", wanted)
        now = found.get("dashboard", {}) if kind == "dashboard" else found
        if kind == "dashboard":
            now = {name: value for name, value in now.items() if name not in _GRAFANAS}
            other = tuple(differences(now, wanted))
        else:  # Grafana adds a lot to these: what is sent is what counts
            other = tuple(differences({name: now.get(name) for name in wanted}, wanted))
        return GrafanaChange(kind, uid, title, "update" if other else "same", wanted, other[:_MOST_DIFFERENCES])

    def _settle(self, change: GrafanaChange) -> None:
        """Do one item. What could not be made because somebody else has made it meanwhile is looked at again."""
        try:
            self._do(change)
        except MevflowError:
            now = self._planned(change.kind, change.uid, change.title, change.wanted)
            if change.action != "create" or now.action == "create":
                raise
            if now.action == "update":
                self._do(now)

    def _do(self, change: GrafanaChange) -> None:
        wanted, uid = change.wanted, change.uid
        if change.kind == "dashboard":
            message = "mevflow grafana apply"
            body = {"dashboard": wanted, "folderUid": FOLDER_UID, "overwrite": True, "message": message}
            self._ask("POST", "/api/dashboards/db", body)
        elif change.kind == "datasource" and change.action == "create":
            self._ask("POST", "/api/datasources", wanted)
        elif change.kind == "datasource":
            self._ask("PUT", f"/api/datasources/uid/{uid}", wanted)
        elif change.action == "create":
            self._ask("POST", "/api/folders", wanted)
        else:
            self._ask("PUT", f"/api/folders/{uid}", {**wanted, "overwrite": True})

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, missing: bool = False
    ) -> dict[str, Any] | None:
        """One call; None where there is no such thing and ``missing`` says that this may be."""
        sent = msgspec.json.encode(body) if body is not None else None
        try:
            reply = self._pool.request(
                method, self._base + path, body=sent, headers=self._headers, redirect=False, preload_content=False
            )
            try:
                text = reply.read(_ANSWER_BYTES)
            finally:
                reply.close()
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"no Grafana answers at {self._base}: {error}", hint=_HINT) from None
        if reply.status == 404 and missing:
            return None
        if reply.status in (401, 403):
            said = f"Grafana refuses the token for {method} {path} (HTTP {reply.status})"
            raise MevflowError(said, hint="its service account needs the role Admin, or Editor for dashboards alone")
        try:
            answer = msgspec.json.decode(text)
        except msgspec.DecodeError:
            answer = None
        if reply.status != 200 or not isinstance(answer, dict):
            told = answer.get("message", "") if isinstance(answer, dict) else "no JSON"
            raise MevflowError(f"Grafana answers {method} {path} with HTTP {reply.status}: {told}", hint=_HINT)
        return answer


def differences(now: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Where two documents differ, by path; panels are called by their titles."""
    if isinstance(now, dict) and isinstance(wanted, dict):
        for name in sorted(now.keys() | wanted.keys()):
            inner = f"{path}.{name}" if path else str(name)
            if name not in now:
                yield f"+ {inner}"
            elif name not in wanted:
                yield f"- {inner}"
            else:
                yield from differences(now[name], wanted[name], inner)
    elif isinstance(now, list) and isinstance(wanted, list) and len(now) == len(wanted):
        for at, (one, other) in enumerate(zip(now, wanted, strict=True)):
            title = other.get("title", "") if isinstance(other, dict) else ""
            yield from differences(one, other, f"{path}[{title or at}]")
    elif now != wanted:
        yield f"~ {path}: {_short(now)} -> {_short(wanted)}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"


def _address(url: str, of: str, like: str, key: str) -> urllib3.util.Url:
    """The parts of an address. Raises UsageError for what is none, or too long, or bears a name or a password."""
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parsed = urllib3.util.Url()
    if len(url) > ADDRESS_CHARACTERS or not re.fullmatch(ADDRESS, url) or not parsed.host:
        raise UsageError(f"{url[:ADDRESS_CHARACTERS]!r} is not the address of {of}", hint=like, key=key)
    return parsed


def _source(sources: GrafanaSources) -> dict[str, Any]:
    _address(sources.prometheus_url, "a Prometheus", "http://127.0.0.1:9090", "prometheus_url")
    return {
        "uid": SOURCE_UID,
        "name": "mevflow Prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": sources.prometheus_url,
        "isDefault": False,
        "jsonData": {"httpMethod": "POST", "timeInterval": "5s"},
    }


def _tables(sources: GrafanaSources) -> dict[str, Any]:
    parsed = _address(sources.clickhouse_url, "a ClickHouse", "http://127.0.0.1:8123", "clickhouse_url")
    if len(sources.database) > DATABASE_CHARACTERS or not re.fullmatch(DATABASE, sources.database):
        shown = sources.database[:DATABASE_CHARACTERS]
        raise UsageError(f"{shown!r} is no name of a database", hint="letters, digits, _, . and -", key="database")
    secure = parsed.scheme == "https"
    return {
        "uid": TABLES_UID,
        "name": "mevflow ClickHouse",
        "type": "grafana-clickhouse-datasource",
        "access": "proxy",
        "isDefault": False,
        "jsonData": {
            "host": parsed.host,
            "port": parsed.port or (8443 if secure else 8123),
            "protocol": "http",
            "secure": secure,
            "username": "default",
            "defaultDatabase": sources.database,
        },
    }
