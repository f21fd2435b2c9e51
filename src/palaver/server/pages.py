"""What a person sees who looks at the server with a browser: no scripts, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

import palaver
from palaver.server.table import Endpoint

__all__ = ["curl", "front_page", "text_page"]


def curl(base: str) -> str:
    """A command that works as it is, on a server at this address."""
    body = '{"origin": {"platform": "local"}, "message": "Hello"}'
    return f"curl -s {base}/v1/turns -H 'Content-Type: application/json' -d '{body}'"


def text_page(endpoints: Sequence[Endpoint], base: str) -> str:
    """The API in plain text."""
    wide = max(len(each.path) for each in endpoints)
    lines = [f"{each.method:<6} {each.path:<{wide}}  {each.summary}" for each in endpoints]
    return "\n".join(
        (
            f"Palaver {palaver.__version__}: sessions over HTTP",
            "",
            "Begin a turn, run your model on its window, finish the turn:",
            "",
            f"  {curl(base)}",
            f"  curl -s {base}/v1/turns/ID/finish -H 'Content-Type: application/json' -d '{{\"message\": \"Hi!\"}}'",
            "",
            *lines,
            "",
            "Bodies are JSON. Errors are problem documents (RFC 9457): decide by `type`, show `detail`.",
            "The whole API as an OpenAPI 3.1 document is at /openapi.json.",
            "",
        )
    )


def front_page(endpoints: Sequence[Endpoint], base: str) -> str:
    """The page at /."""
    rows = "".join(
        f"<tr><td>{each.method}</td><td><code>{html.escape(each.path)}</code></td>"
        f"<td>{html.escape(each.summary)}</td></tr>"
        for each in endpoints
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Palaver</title>'
        '<meta name="viewport" content="width=device-width"></head><body><h1>Palaver</h1>'
        "<p>The conversation-session layer for AI agents. This is its HTTP API, "
        f"version {html.escape(palaver.__version__)}.</p>"
        f"<p>Try:</p><pre>{html.escape(curl(base))}</pre>"
        '<p><a href="/openapi.json">OpenAPI document</a> · <a href="/docs">plain text</a> · '
        '<a href="/v1/sessions">sessions</a> · <a href="/v1/stats">statistics</a></p>'
        f"<table>{rows}</table></body></html>"
    )
