"""`palaver serve`: the HTTP server, where its libraries are installed."""

from __future__ import annotations

from datetime import timedelta

from palaver.cli.failures import FAILED, USAGE, Failure

__all__ = ["start"]


def start(url: str, *, host: str, port: int, sweep_every: timedelta | None) -> None:
    """Serve the store until interrupted. Raises Failure where the `server` extra is not installed."""
    try:
        from palaver.server import serve
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("palaver"):
            raise
        msg = (
            f"the server needs {exc.name}, which is not installed: "
            "install Palaver with its server extra, in a clone with pip install -e '.[server]'"
        )
        raise Failure(msg, FAILED) from exc
    try:
        serve(url, host=host, port=port, sweep_every=sweep_every)
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
