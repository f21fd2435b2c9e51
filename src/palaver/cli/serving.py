"""`palaver serve`: the HTTP server, where its libraries are installed."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from palaver.cli.failures import FAILED, USAGE, Failure

__all__ = ["Answering", "start"]


class Answering(NamedTuple):
    """Who answers what is passed through: addresses, and the names of what holds their keys."""

    url: str | None
    key: str | None
    anthropic_url: str | None
    anthropic_key: str | None


def start(url: str, *, host: str, port: int, sweep_every: timedelta | None, answering: Answering) -> None:
    """Serve the store until interrupted. Raises Failure where the `server` or `upstream` extra is not installed."""
    try:
        from palaver.server import Upstream, serve
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("palaver"):
            raise
        msg = (
            f"the server needs {exc.name}, which is not installed: "
            "install Palaver with its server extra, in a clone with pip install -e '.[server]'"
        )
        raise Failure(msg, FAILED) from exc
    asked = answering.url or answering.anthropic_url
    if asked is None and (answering.key or answering.anthropic_key):
        raise Failure("a key without an upstream opens nothing: give --upstream too", USAGE)
    try:
        upstream = None
        if asked is not None:
            upstream = Upstream(
                url=asked,
                credential=answering.key,
                anthropic_url=answering.anthropic_url,
                anthropic_credential=answering.anthropic_key,
            )
        serve(url, host=host, port=port, sweep_every=sweep_every, upstream=upstream)
    except ModuleNotFoundError as exc:
        raise Failure(str(exc), FAILED) from exc
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
