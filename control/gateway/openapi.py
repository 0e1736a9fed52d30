"""``/api/openapi.json``: made from the routes and the ``.proto`` file's own messages."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mevflow.control.gateway.calls.routes import ROUTES, HttpRoute
from mevflow.control.gateway.calls.shape import JSON_FIELDS
from mevflow.control.gateway.door.sessions import CSRF_HEADER
from mevflow.control.gateway.endpoints.catalogue import ENDPOINTS
from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint
from mevflow.control.gateway.tables.history import TABLES
from mevflow.control.gateway.topologies.model_deploy import DeployAsked
from mevflow.control.methods import METHODS
from mevflow.control.server.dispatch import SERVICE

_NUMBERS = {FieldDescriptor.CPPTYPE_DOUBLE: "number", FieldDescriptor.CPPTYPE_FLOAT: "number"}
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_JSON = "application/json"
_OF_RUN = ("run_id",)
_RANGE = ("from_us", "to_us", "chain", "run_id")
#: (verb, path, summary, parameters of the URL, body, media of the answer)
_OTHERS: tuple[tuple[str, str, str, tuple[str, ...], dict[str, Any] | None, str], ...] = (
    ("post", "/api/session", "A cookie session for a bearer token", (), None, "application/json"),
    ("get", "/api/session", "Who the caller is", (), None, "application/json"),
    ("delete", "/api/session", "End the session", (), None, ""),
    ("get", "/api/provisioning/health", "Whether calls are taken; needs no token", (), None, "application/json"),
    ("get", "/api/health/metrics/performance", "Calls, lateness, shards", (), None, "application/json"),
    (
        "post",
        "/api/clickhouse/query",
        "One statement that reads, or a template by name",
        (),
        {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "template": {"type": "string"},
                "id": {"type": "string", "description": "to cancel it by"},
                "parameters": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            },
        },
        "application/json",
    ),
    (
        "post",
        "/api/clickhouse/cancel",
        "Kill a query of one's own",
        (),
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        _JSON,
    ),
    (
        "post",
        "/api/training/models/{id}/deploy",
        "Give a registered model to a topology, and wait for its shards",
        (),
        msgspec.json.schema(DeployAsked)["$defs"]["DeployAsked"],
        _JSON,
    ),
    ("post", "/api/realtime/webtransport", "A ticket for live messages over WebTransport", (), None, _JSON),
    ("get", "/api/realtime/connections", "Feeds and clients of the hub, and what they missed", (), None, _JSON),
    ("get", "/api/datasets/schema", "Datasets and their columns", ("dataset",), None, "application/json"),
    (
        "get",
        "/api/datasets/export",
        "A dataset as Parquet, CSV or Arrow",
        ("dataset", "format", "columns", "from", "to", "limit"),
        None,
        "application/octet-stream",
    ),
    *(("get", each.path, each.summary, each.parameters, None, "application/json") for each in TABLES),
    ("get", "/api/opportunities/{id}", "An opportunity, its legs, moments and decisions", _OF_RUN, None, _JSON),
    ("get", "/api/decisions/{id}", "A decision with its whole lineage", _OF_RUN, None, _JSON),
    ("get", "/api/topologies/{name}/graph", "Nodes, edges, counters and rates of a topology", (), None, _JSON),
    ("get", "/api/topologies/{name}/commands", "What its stages can be told, as JSON schemas", (), None, _JSON),
    ("get", "/api/clickhouse/templates", "Queries by name", (), None, _JSON),
    ("get", "/api/clickhouse/progress", "How far a query of one's own is", ("id",), None, _JSON),
    ("get", "/api/clickhouse/schema", "Tables, columns and functions that a statement may name", (), None, _JSON),
    ("get", "/api/stats/summary", "From gap to landing over a range", _RANGE, None, _JSON),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _call(route, schemas)
    for verb, path, summary, names, body, media in _OTHERS:
        in_path = [_in_path(name) for name in re.findall(r"\{(\w+)\}", path)]
        operation: dict[str, Any] = {"summary": summary, "parameters": in_path + [_parameter(name) for name in names]}
        if body is not None:
            operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
        done: dict[str, Any] = {"description": "done"}
        if media:
            done["content"] = {media: {}}
        operation["responses"] = {"200" if media else "204": done, "default": _PROBLEM}
        if path == "/api/provisioning/health":
            operation["security"] = []
        paths.setdefault(path, {})[verb] = operation
    for each in ENDPOINTS:
        paths.setdefault(each.path, {})[each.verb.lower()] = _endpoint(each)
    problem = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "the gRPC status"},
            "reason": {"type": "string", "description": "for machines"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mevflow control",
            "version": "1",
            "description": "The control plane over HTTP. WebSockets: /api/control/ws carries the same calls, "
            "/api/realtime/ws live messages, /api/messages/{topic}/ws records of a topic.",
        },
        "security": [{"bearer": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": {**dict(sorted(schemas.items())), "Problem": problem},
            "responses": {
                "Problem": {
                    "description": "refused",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT (EdDSA)"},
                "session": {"type": "apiKey", "in": "cookie", "name": "mevflow_session"},
                "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
            },
        },
    }


def _call(route: HttpRoute, schemas: dict[str, Any]) -> dict[str, Any]:
    method = SERVICE.methods_by_name[route.call]
    given, answered = method.input_type, _refer(method.output_type, schemas)
    in_path = re.findall(r"\{(\w+)\}", route.path)
    parameters = [_in_path(name) for name in in_path]
    operation: dict[str, Any] = {
        "operationId": route.call,
        "summary": route.summary,
        "description": f"Needs the role {METHODS[route.call].role}.",
    }
    if route.verb == "GET":
        for each in given.fields:
            if each.name not in in_path and each.message_type is None:
                parameters.append({"name": each.name, "in": "query", "schema": _one(each, schemas)})
    else:
        operation["requestBody"] = {"content": {"application/json": {"schema": _refer(given, schemas)}}}
    media = "application/x-ndjson" if METHODS[route.call].streams else "application/json"
    done = {"description": "done", "content": {media: {"schema": answered}}}
    return {**operation, "parameters": parameters, "responses": {"200": done, "default": _PROBLEM}}


def _endpoint(each: HttpEndpoint) -> dict[str, Any]:
    """An operation from what its struct takes."""
    in_path = re.findall(r"\{(\w+)\}", each.path)
    schema = msgspec.json.schema(each.asked)["$defs"][each.asked.__name__]
    fields = {name: field for name, field in schema["properties"].items() if name not in in_path}
    operation: dict[str, Any] = {
        "operationId": each.method,
        "summary": each.summary,
        "description": f"Needs the role {METHODS[each.method].role}.",
        "parameters": [_in_path(name) for name in in_path],
        "responses": {"200": {"description": "done", "content": {_JSON: {}}}, "default": _PROBLEM},
    }
    if each.verb == "GET":
        operation["parameters"] += [{"name": name, "in": "query", "schema": field} for name, field in fields.items()]
    else:
        body = {"type": "object", "properties": fields, "additionalProperties": False}
        operation["requestBody"] = {"content": {_JSON: {"schema": body}}}
    return operation


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _refer(message: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a message's schema, which is made when it is not there yet."""
    if message.name not in schemas:
        schemas[message.name] = {}
        schemas[message.name] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                field.name: {"type": "array", "items": _one(field, schemas)}
                if field.is_repeated
                else _one(field, schemas)
                for field in message.fields
            },
        }
    return {"$ref": f"#/components/schemas/{message.name}"}


def _one(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return _refer(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"description": "JSON"} if field.name in JSON_FIELDS else {"type": "string", "format": "byte"}
    if field.type == FieldDescriptor.TYPE_STRING:
        return {"type": "string"}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    return {"type": _NUMBERS.get(field.cpp_type, "integer")}
