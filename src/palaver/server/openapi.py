"""The OpenAPI 3.1 document, made from the table of routes and msgspec's schemas of its structs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

import palaver
from palaver.server.access import OWNER_HEADER
from palaver.server.examples import examples
from palaver.server.problems import KINDS, Problem
from palaver.server.style import PROBLEMS, Style
from palaver.server.table import Endpoint, NoQuery

__all__ = ["document", "route_table"]

INCOGNITO_HEADER = "Palaver-Incognito"
_NAME = {"schema": {"type": "string"}, "description": "As `id` said."}
_PATH = {
    "session_id": {"schema": {"type": "string"}, "description": "Percent-encoded where it holds a slash."},
    "seq": {"schema": {"type": "integer", "minimum": 1}, "description": "Position of a message."},
    "conversation_id": {"schema": {"type": "string"}, "description": "`conv_…`: a session's id after that."},
}
_EVENTS = "text/event-stream"
_REF = "#/components/schemas/{name}"
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `palaver keys create` made. A server on this machine that has no keys asks for none.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same request with the same key is done once, and answered again; for a day.",
}
_WITH_KEY = ("unauthorized", "forbidden", "rate-limited")
_ANYWHERE = ("bad-request", "host-not-allowed")
_WITH_BODY = (
    "invalid-json",
    "body-too-slow",
    "body-too-large",
    "unsupported-media-type",
    "invalid-request",
    "invalid-message",
)

_WITH_LINES = ("body-too-large", "unsupported-media-type", "invalid-request")


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document that describes these routes."""
    kinds = (kind for each in endpoints for kind in (*each.bodies, each.query, each.answer, each.style.error))
    types = list(dict.fromkeys((Problem, *kinds)))
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    schemas = dict(zip(types, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas, components)
    for each in endpoints:
        _drop_query(each, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palaver",
            "version": palaver.__version__,
            "summary": "The conversation-session layer for AI agents.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": _KEY},
            "schemas": components,
            "parameters": {"Owner": _owner(), "Incognito": _incognito(), "IdempotencyKey": _IDEMPOTENCY_KEY},
            "responses": {"Problem": _problem("Something went wrong; `type` says what.", schemas)},
        },
    }


def _owner() -> dict[str, Any]:
    return {
        "name": OWNER_HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
        "description": "Whose sessions are meant; others are not found. Without it, those of the key's owner, or all.",
    }


def _incognito() -> dict[str, Any]:
    return {
        "name": INCOGNITO_HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["true", "false"]},
        "description": "true: the conversations that are in the server's memory alone, and no others.",
    }


def _operation(each: Endpoint, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "tags": [each.path.split("/")[2] if each.path.startswith("/v1/") else "server"],
    }
    parameters = [*_path_parameters(each), *_query_parameters(each, schemas, components)]
    if each.method == "POST" and each.path.startswith("/v1/"):
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    parameters += [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        for name, text in each.headers.items()
    ]
    if each.path.startswith("/v1/"):
        parameters.append({"$ref": "#/components/parameters/Owner"})
        parameters.append({"$ref": "#/components/parameters/Incognito"})
    else:
        out["security"] = []
    if parameters:
        out["parameters"] = parameters
    if each.bodies:
        content: dict[str, Any] = {"schema": _one_of([schemas[kind] for kind in each.bodies])}
        if each.example is not None:
            content["example"] = each.example
        out["requestBody"] = {"required": each.body_required, "content": {"application/json": content}}
    if each.takes:
        taken = {"schema": {"type": "string"}, "example": each.example}
        out["requestBody"] = {"required": True, "content": dict.fromkeys(each.takes, taken)}
    out["responses"] = _responses(each, schemas)
    return out


def _one_of(kinds: list[Any]) -> Any:
    return kinds[0] if len(kinds) == 1 else {"oneOf": kinds}


def _path_parameters(each: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, **_PATH.get(name, _NAME)}
        for name in re.findall(r"\{(\w+)\}", each.path)
    ]


def _query_parameters(each: Endpoint, schemas: dict[Any, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    if each.query is NoQuery:
        return []
    schema = components[_name(schemas[each.query])]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(found)}
        for name, found in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be absent is left out."""
    if "anyOf" not in schema:
        return schema
    kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**kinds[0], **rest} if len(kinds) == 1 else {"anyOf": kinds, **rest}


def _drop_query(each: Endpoint, schemas: dict[Any, Any], components: dict[str, Any]) -> None:
    """Query structs are spelled out as parameters; nothing refers to them as a schema."""
    components.pop(_name(schemas[each.query]), None)


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _schema(each: Endpoint, kind: str, schemas: dict[Any, Any]) -> dict[str, Any]:
    """What an answer of a type holds: where one operation gives several types, they are not the same."""
    if kind == "application/json" and each.answer is str:
        return {"type": "object"}
    if kind == _EVENTS:  # some tools hold each event against this, others the whole text
        return {"description": "Server-sent events."}
    found: dict[str, Any] = schemas[each.answer]
    return found


def _success(each: Endpoint, schemas: dict[Any, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer holds, by its media type; with examples, by theirs."""
    out: dict[str, Any] = {kind: {"schema": _schema(each, kind, schemas)} for kind in each.gives}
    if each.streams:
        out[_EVENTS] = {"schema": _schema(each, _EVENTS, schemas)}
    for kind in out.keys() & shown.keys():
        out[kind]["example"] = shown[kind]
    return out


def _responses(each: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    shown: Mapping[str, Any] = examples().get(each.name, {})
    for status, text in each.answers.items():
        out[str(status)] = {"description": text}
        if status != HTTPStatus.NOT_MODIFIED:
            out[str(status)]["content"] = _success(each, schemas, shown)
            shown = {}  # they are of the first, which is the main one
    slugs = [*each.problems, *_ANYWHERE, *(_WITH_BODY if each.bodies else _WITH_LINES if each.takes else ())]
    if each.operator:
        slugs.append("operator-only")
    if each.path.startswith("/v1/"):
        slugs += _WITH_KEY
    if each.query is not NoQuery:
        slugs.append("invalid-request")
    by_status: dict[int, list[str]] = {}
    for slug in dict.fromkeys(slugs):
        by_status.setdefault(each.style.status(KINDS[slug].status), []).append(slug)
    for status, names in sorted(by_status.items()):
        said = "; ".join(f"`{name}`: {KINDS[name].title}" for name in names)
        out[str(status)] = _error(said, each.style, schemas)
    if each.style is PROBLEMS:
        out["default"] = {"$ref": "#/components/responses/Problem"}
    else:
        out["default"] = _error("Something went wrong.", each.style, schemas)
    return out


def _error(text: str, style: Style, schemas: dict[Any, Any]) -> dict[str, Any]:
    return {"description": text, "content": {style.media_type: {"schema": schemas[style.error]}}}


def _problem(text: str, schemas: dict[Any, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/problem+json": {"schema": schemas[Problem]}}}


def route_table(endpoints: Sequence[Endpoint]) -> str:
    """The routes as a Markdown table, for the documentation."""
    lines = ["| method | path | what it does |", "|---|---|---|"]
    lines += [f"| {each.method} | `{each.path}` | {each.summary} |" for each in endpoints]
    return "\n".join(lines) + "\n"
