"""What the server says in plain text: the API in short, and commands to try it with."""

from __future__ import annotations

from collections.abc import Sequence

import palaver
from palaver.server.table import Endpoint

__all__ = ["text_page", "trial"]

TRIAL_LEASE_SECONDS = 5
"""Lease of the turn that a first try begins: shorter than a wait, so that the second try, too, begins one."""


def _begin(base: str) -> str:
    """A command that begins a turn as it is, as often as it is given, on a server at this address."""
    body = f'{{"origin": {{"platform": "local"}}, "message": "Hello", "lease_seconds": {TRIAL_LEASE_SECONDS}}}'
    return f"curl -s {base}/v1/turns -H 'Content-Type: application/json' -d '{body}'"


def _finish(base: str) -> str:
    """A command that answers the turn, where ID is replaced by its id."""
    return f"curl -s {base}/v1/turns/ID/finish -H 'Content-Type: application/json' -d '{{\"message\": \"Hi!\"}}'"


def _look(base: str) -> str:
    """A command that shows what there is."""
    return f"curl -s {base}/v1/sessions"


def _with_key(command: str) -> str:
    """The same command on a server that asks for keys, where KEY is replaced by one."""
    return command.replace("curl -s ", "curl -s -H 'Authorization: Bearer KEY' ", 1)


def trial(base: str, *, keyed: bool) -> tuple[str, str, str]:
    """Commands that begin a turn, answer it, and list what there is: on a server that asks for keys, or does not."""
    begin, finish, look = _begin(base), _finish(base), _look(base)
    return (_with_key(begin), _with_key(finish), _with_key(look)) if keyed else (begin, finish, look)


def text_page(endpoints: Sequence[Endpoint], base: str, *, keyed: bool) -> str:
    """The API in plain text."""
    wide = max(len(each.path) for each in endpoints)
    lines = [f"{each.method:<6} {each.path:<{wide}}  {each.summary}" for each in endpoints]
    return "\n".join(
        (
            f"Palaver {palaver.__version__}: sessions over HTTP",
            "",
            "Begin a turn, run your model on its window, finish the turn by its id, look at the sessions:",
            "",
            *(f"  {command}" for command in trial(base, keyed=keyed)),
            "",
            *lines,
            "",
            "Bodies are JSON. Errors are problem documents (RFC 9457): decide by `type`, show `detail`.",
            "The whole API as an OpenAPI 3.1 document is at /openapi.json.",
            "",
        )
    )
