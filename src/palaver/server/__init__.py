"""Sessions over HTTP: `app` is the ASGI application, `serve` runs it. Needs the `server` extra.

There is no authentication yet: whoever reaches the server is the operator. It listens on this machine only, unless it
is told otherwise, and answers no web page but its own.
"""

from __future__ import annotations

try:
    from palaver.server.application import app
    from palaver.server.limits import Limits
    from palaver.server.passthrough.upstream import Upstream
    from palaver.server.running import serve
except ModuleNotFoundError as exc:
    if exc.name is None or exc.name.startswith("palaver"):
        raise
    msg = (
        f"the server needs {exc.name}, which is not installed: "
        "install Palaver with its server extra, in a clone with pip install -e '.[server]'"
    )
    raise ModuleNotFoundError(msg, name=exc.name) from exc

__all__ = ["Limits", "Upstream", "app", "serve"]
