"""The API as a page to read: every route with what it takes and gives, from the OpenAPI document, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse, Response

from palaver.server.pages import trial

__all__ = ["manual", "policy"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font: .9em ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: .4rem; }
details { border-top: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 4.2rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; vertical-align: top; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; }
"""


def policy() -> str:
    """The page's content security policy: its own style, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"


def manual(document: Mapping[str, Any], base: str, *, keyed: bool) -> Response:
    """The page, for a server at this address, which asks for keys or does not."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, method.upper(), path, operation))
    contents = " · ".join(f'<a href="#{_text(name)}">{_text(name)}</a>' for name in groups)
    routes = "".join(f'<h2 id="{_text(name)}">{_text(name)}</h2>{"".join(each)}' for name, each in groups.items())
    commands = "\n".join(trial(base, keyed=keyed))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Palaver: the API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Palaver {_text(document['info']['version'])}: the API</h1>"
        "<p>Begin a turn, run your model on its window, finish the turn by its id, look at the sessions:</p>"
        f"<pre>{_text(commands)}</pre>"
        "<p>Bodies are JSON. Errors are problem documents (RFC 9457): decide by <code>type</code>, show "
        '<code>detail</code>. All of this is at <a href="/openapi.json">/openapi.json</a>, as OpenAPI 3.1; '
        'as plain text it is here for who does not accept HTML. <a href="/">The inspector</a></p>'
        f"<nav>{contents}</nav>{routes}</body></html>"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": policy()})


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        _row(each["name"], f"{each['in']}; {_kind(each['schema'])}", each.get("description", ""))
        for each in (_found(document, one) for one in operation.get("parameters", ()))
    ]
    body = operation.get("requestBody", {}).get("content", {})
    taken = ""
    for media, content in body.items():
        taken += f"<h4>Body, <code>{_text(media)}</code></h4>{_fields(document, content['schema'])}"
        taken += _example(content)
    given = "".join(
        f"<h4>Example of an answer, <code>{_text(media)}</code></h4>{_example(content)}"
        for response in operation["responses"].values()
        for media, content in _found(document, response).get("content", {}).items()
        if "example" in content
    )
    answers = "".join(
        _row(status, "", _found(document, each)["description"]) for status, each in operation["responses"].items()
    )
    return (
        f'<details id="{_text(operation["operationId"])}"><summary><b>{method}</b> <code>{_text(path)}</code> '
        f"{_text(operation['summary'])}</summary>"
        + (f"<h4>Parameters</h4><table>{''.join(rows)}</table>" if rows else "")
        + f"{taken}<h4>Answers</h4><table>{answers}</table>{given}</details>"
    )


def _example(content: Mapping[str, Any]) -> str:
    """A body as it may be, where there is an example."""
    if "example" not in content:
        return ""
    example = content["example"]
    shown = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return f"<pre>{_text(shown)}</pre>"


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The fields of a body; of several kinds of body, those of each."""
    out = ""
    for kind in schema.get("oneOf", [schema]):
        found = _found(document, kind)
        needed = found.get("required", ())
        rows = [
            _row(name, _kind(each) + ("" if name in needed else "; optional"), each.get("description", ""))
            for name, each in found.get("properties", {}).items()
        ]
        out += f"<p>{_text(found.get('description', ''))}</p><table>{''.join(rows)}</table>"
    return out


def _found(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to."""
    found = value
    while "$ref" in found:
        reference: str = found["$ref"]
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_kind, schema["anyOf"])))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _row(name: str, kind: str, what: str) -> str:
    return f"<tr><td><code>{_text(name)}</code></td><td>{_text(kind)}</td><td>{_text(what)}</td></tr>"


def _text(value: object) -> str:
    return html.escape(str(value))
