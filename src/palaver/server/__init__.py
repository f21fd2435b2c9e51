"""Sessions over HTTP: `app` is the ASGI application, `serve` runs it. Needs the `server` extra.

It asks for keys as soon as there is one (`palaver keys`). Without any it listens on this machine alone, where whoever
reaches it is the operator; it answers no web page but its own.
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
