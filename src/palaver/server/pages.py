"""What a person sees who looks at the server with a browser: no scripts, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

import palaver
from palaver.server.table import Endpoint

__all__ = ["begin_command", "finish_command", "front_page", "list_command", "text_page"]

TRIAL_LEASE_SECONDS = 5
"""Lease of the turn that a first try begins: shorter than a wait, so that the second try, too, begins one."""


def begin_command(base: str) -> str:
    """A command that begins a turn as it is, as often as it is given, on a server at this address."""
    body = f'{{"origin": {{"platform": "local"}}, "message": "Hello", "lease_seconds": {TRIAL_LEASE_SECONDS}}}'
    return f"curl -s {base}/v1/turns -H 'Content-Type: application/json' -d '{body}'"


def finish_command(base: str) -> str:
    """A command that answers the turn, where ID is replaced by its id."""
    return f"curl -s {base}/v1/turns/ID/finish -H 'Content-Type: application/json' -d '{{\"message\": \"Hi!\"}}'"


def list_command(base: str) -> str:
    """A command that shows what there is."""
    return f"curl -s {base}/v1/sessions"


def text_page(endpoints: Sequence[Endpoint], base: str) -> str:
    """The API in plain text."""
    wide = max(len(each.path) for each in endpoints)
    lines = [f"{each.method:<6} {each.path:<{wide}}  {each.summary}" for each in endpoints]
    return "\n".join(
        (
            f"Palaver {palaver.__version__}: sessions over HTTP",
            "",
            "Begin a turn, run your model on its window, finish the turn by its id, look at the sessions:",
            "",
            f"  {begin_command(base)}",
            f"  {finish_command(base)}",
            f"  {list_command(base)}",
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
        f"<p>Try:</p><pre>{html.escape(begin_command(base))}</pre>"
        f"<p>Then answer it, with its id in the place of ID:</p><pre>{html.escape(finish_command(base))}</pre>"
        '<p><a href="/openapi.json">OpenAPI document</a> · <a href="/docs">plain text</a> · '
        '<a href="/v1/sessions">sessions</a> · <a href="/v1/stats">statistics</a></p>'
        f"<table>{rows}</table></body></html>"
    )
