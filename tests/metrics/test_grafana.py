"""Dashboards into a Grafana: diff first, once, item by item.

There is no Grafana here: a server answers as the documentation of Grafana 12's HTTP API says (status codes, bodies,
what it adds to what it keeps).
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.metrics.grafana import DASHBOARDS, FOLDER_UID, SOURCE_UID, TABLES_UID, Grafana, GrafanaSources, differences
from mevflow.operators.errors import CheckFailedError, MevflowError, UnreachableError, UsageError

TOKEN = "glsa_of_the_test"
#: What Grafana adds to a data source that it keeps.
ADDED = {
    "id": 7,
    "orgId": 1,
    "typeLogoUrl": "/x.svg",
    "user": "",
    "database": "",
    "basicAuth": False,
    "readOnly": False,
}


class Api(BaseHTTPRequestHandler):
    kept: dict
    calls: list
    broken = ""

    def do_GET(self):
        self._calls()
        found = self.kept.get(self.path)
        if found is None:
            self._answer(404, {"message": "not found", "traceID": ""})
        elif "/dashboards/" in self.path:
            self._answer(200, {"meta": {"slug": "x", "folderUid": FOLDER_UID}, "dashboard": found})
        else:
            self._answer(200, found)

    def do_POST(self):
        self._calls()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"message": "Invalid API key"})
        elif self.path == "/api/dashboards/db":
            document = body["dashboard"]
            if document["uid"] == self.broken:
                self._answer(
                    412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
                )
                return
            path = f"/api/dashboards/uid/{document['uid']}"
            version = self.kept.get(path, {}).get("version", 0) + 1
            self.kept[path] = {**document, "id": 40 + len(self.kept), "version": version}
            self._answer(200, {"uid": document["uid"], "status": "success", "version": version})
        elif self.path == "/api/folders":
            if f"/api/folders/{body['uid']}" in self.kept:
                self._answer(412, {"message": "a folder with that UID already exists"})
                return
            self.kept[f"/api/folders/{body['uid']}"] = {**body, "id": 3, "url": "/dashboards/f/mevflow", "version": 1}
            self._answer(200, self.kept[f"/api/folders/{body['uid']}"])
        elif f"/api/datasources/uid/{body['uid']}" in self.kept:
            self._answer(409, {"message": "data source with the same name already exists"})
        else:
            self.kept[f"/api/datasources/uid/{body['uid']}"] = {**body, **ADDED}
            self._answer(200, {"id": 7, "message": "Datasource added", "name": body["name"]})

    def do_PUT(self):
        self._calls()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.kept[self.path] = {**body, **ADDED}
        self._answer(200, {"id": 7, "message": "Datasource updated"})

    def _calls(self):
        self.calls.append((self.command, self.path))

    def _answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    """(url, class of its handler: what it keeps, what it was asked)."""
    handler = type("Handler", (Api,), {"kept": {}, "calls": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


def writes(handler):
    return [call for call in handler.calls if call[0] != "GET"]


def test_everything_is_made_once_and_then_left_alone(api):
    url, handler = api
    grafana = Grafana(url, TOKEN)
    plan = grafana.plan(GrafanaSources("http://prometheus:9090"))
    assert [change.action for change in plan] == ["create"] * 8
    assert [change.kind for change in plan] == ["folder", "datasource", *["dashboard"] * 6]
    assert writes(handler) == []
    assert [result.error for result in grafana.apply(plan)] == [""] * 8
    assert len(writes(handler)) == 8
    again = grafana.plan(GrafanaSources("http://prometheus:9090"))
    assert {change.action for change in again} == {"same"}
    assert [result.error for result in grafana.apply(again)] == [""] * 8
    assert len(writes(handler)) == 8
    kept = handler.kept["/api/dashboards/uid/mevflow-kafka"]
    assert kept["panels"] == json.loads((DASHBOARDS / "mevflow-kafka.json").read_text())["panels"]


def test_two_that_apply_at_once_both_succeed_and_the_later_one_counts(api):
    url, handler = api
    grafana = Grafana(url, TOKEN)
    plans = [grafana.plan(GrafanaSources(address)) for address in ("http://one:9090", "http://two:9090")]
    assert {change.action for plan in plans for change in plan} == {"create"}
    for plan in plans:
        assert [result.error for result in grafana.apply(plan)] == [""] * len(plan)
    assert handler.kept[f"/api/datasources/uid/{SOURCE_UID}"]["url"] == "http://two:9090"
    assert {change.action for change in grafana.plan(GrafanaSources("http://two:9090"))} == {"same"}


def test_what_somebody_changed_is_named_and_put_right(api):
    url, handler = api
    grafana = Grafana(url, TOKEN)
    list(grafana.apply(grafana.plan(GrafanaSources("http://a:9090"))))
    document = handler.kept["/api/dashboards/uid/mevflow-kafka"]
    title = document["panels"][1]["title"]
    document["panels"][1]["description"] = "by hand"
    handler.kept[f"/api/datasources/uid/{SOURCE_UID}"]["url"] = "http://elsewhere:9090"
    plan = {change.uid: change for change in grafana.plan(GrafanaSources("http://a:9090"))}
    changed = {uid for uid, change in plan.items() if change.action == "update"}
    assert changed == {"mevflow-kafka", SOURCE_UID}
    assert plan["mevflow-kafka"].differences[0].startswith(f'~ panels[{title}].description: "by hand" -> ')
    assert plan[SOURCE_UID].differences == ('~ url: "http://elsewhere:9090" -> "http://a:9090"',)
    list(grafana.apply(list(plan.values())))
    assert {change.action for change in grafana.plan(GrafanaSources("http://a:9090"))} == {"same"}


def test_panels_in_sql_get_their_data_source(api):
    url, handler = api
    grafana = Grafana(url, TOKEN)
    asked = GrafanaSources("http://a:9090", "https://ch.example.org", "mev")
    list(grafana.apply(grafana.plan(asked)))
    made = handler.kept[f"/api/datasources/uid/{TABLES_UID}"]
    kept = {name: made["jsonData"][name] for name in ("host", "port", "secure", "defaultDatabase")}
    assert kept == {"host": "ch.example.org", "port": 8443, "secure": True, "defaultDatabase": "mev"}
    assert {change.action for change in grafana.plan(asked)} == {"same"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (GrafanaSources(clickhouse_url="ch.example.org"), "not the address of a ClickHouse"),
        (GrafanaSources(clickhouse_url="http://["), "not the address of a ClickHouse"),
        (GrafanaSources(clickhouse_url="http://me:secret@ch.example.org"), "not the address of a ClickHouse"),
        (GrafanaSources(clickhouse_url=f"http://{'c' * 500}"), "not the address of a ClickHouse"),
        (GrafanaSources(clickhouse_url="http://ch", database="a b"), "no name of a database"),
        (GrafanaSources(prometheus_url="http://me:secret@prometheus:9090"), "not the address of a Prometheus"),
        (GrafanaSources(prometheus_url="http://["), "not the address of a Prometheus"),
    ],
)
def test_what_is_no_source_is_refused_before_grafana_is_asked(api, asked, said):
    url, handler = api
    with pytest.raises(UsageError, match=said):
        Grafana(url, TOKEN).plan(asked)
    assert handler.calls == []


def test_one_that_fails_does_not_stop_the_others(api):
    url, handler = api
    handler.broken = "mevflow-gateway"
    grafana = Grafana(url, TOKEN)
    results = {
        result.change.uid: result.error for result in grafana.apply(grafana.plan(GrafanaSources("http://a:9090")))
    }
    assert {uid for uid, error in results.items() if error} == {"mevflow-gateway"}
    assert "HTTP 412: The dashboard has been changed by someone else" in results["mevflow-gateway"]
    assert len([path for path in handler.kept if "/dashboards/" in path]) == 5


def test_commands_print_plan_and_results(api, tmp_path):
    url, handler = api
    (tmp_path / "token").write_text(TOKEN + "\n")
    words = ["--url", url, "--token-file", str(tmp_path / "token"), "--json"]
    planned = CliRunner().invoke(cli, ["grafana", "plan", *words])
    assert {row["action"] for row in json.loads(planned.stdout)} == {"create"}
    handler.broken = "mevflow-gateway"
    applied = CliRunner().invoke(cli, ["grafana", "apply", *words])
    assert isinstance(applied.exception, CheckFailedError)
    assert [row["uid"] for row in json.loads(applied.stdout) if row["error"]] == ["mevflow-gateway"]
    assert TOKEN not in planned.output + applied.output


def test_who_is_refused_is_told(api):
    url, _ = api
    plan = Grafana(url, "wrong").plan(GrafanaSources("http://a:9090"))
    assert all("refuses the token" in result.error for result in Grafana(url, "wrong").apply(plan))
    with pytest.raises(UnreachableError, match="no Grafana answers"):
        Grafana("http://127.0.0.1:1", TOKEN).plan(GrafanaSources("http://a:9090"))
    for other in ("ftp://x", "http://[", "http://me:secret@grafana"):
        with pytest.raises(UsageError, match="is not the address of a Grafana"):
            Grafana(other, TOKEN)


def test_what_is_no_grafana_is_said(api):
    url, handler = api
    handler.kept[f"/api/folders/{FOLDER_UID}"] = ["a list"]
    with pytest.raises(MevflowError, match="answers GET /api/folders/mevflow with HTTP 200: no JSON"):
        Grafana(url, TOKEN).plan(GrafanaSources("http://a:9090"))


def test_differences_are_by_path():
    assert list(differences({"a": 1, "b": [1]}, {"a": 2, "c": 3, "b": [1, 2]})) == [
        "~ a: 1 -> 2",
        "~ b: [1] -> [1,2]",
        "+ c",
    ]
