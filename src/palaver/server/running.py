"""Running the server until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette

from palaver.server.application import app
from palaver.server.limits import Limits
from palaver.server.pages import begin_command, finish_command, list_command
from palaver.server.passthrough import Upstream
from palaver.settings import Settings
from palaver.stores.base import Store
from palaver.stores.urls import open_store
from palaver.sweeping import SweepPolicy

__all__ = ["serve"]

SWEEP_EVERY = timedelta(hours=1)
GRACE_SECONDS = 10
"""How long requests under way may take when the server is told to stop; waits for a busy session end at once."""


class _Server(uvicorn.Server):
    """Says when it listens, and lets waiting requests know when it stops."""

    def __init__(self, config: uvicorn.Config, application: Starlette, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._application = application
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.closing = True
        await super().shutdown(sockets)


def serve(
    url: str | os.PathLike[str] | Store,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
    allow_remote: bool = False,
    sweep_every: timedelta | None = SWEEP_EVERY,
    sweep_policy: SweepPolicy | None = None,
    upstream: Upstream | str | None = None,
    log_level: str = "warning",
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve a store until SIGINT or SIGTERM. `port` 0 takes a free one.

    It sweeps every hour (see `SessionManager.sweep`) unless `sweep_every` says otherwise, or None: never.
    `upstream` is who answers what is passed through; see `app`.
    When the server listens, `say` (print, unless given) is told its address and commands to try it with.

    Raises ValueError for a host that other machines reach, unless `allow_remote`: there is no authentication yet, so
    whoever reaches the server reads and changes everything. Raises OSError where the address cannot be had,
    StoreError where the store cannot be opened.
    """
    tell = say if say is not None else _print
    if not allow_remote and not _is_loopback(host):
        msg = (
            f"host {host!r} can be reached from other machines, and the server has no authentication: "
            f"listen on 127.0.0.1 behind a proxy that has, or pass allow_remote=True"
        )
        raise ValueError(msg)
    names = allowed_hosts if host in {"", "0.0.0.0", "::"} else (host, *allowed_hosts)  # noqa: S104 - compared, not bound
    listener = _listener(host, port)
    with contextlib.closing(listener):
        store = url if isinstance(url, Store) else open_store(url)
        with contextlib.closing(store):
            application = app(
                store,
                settings=settings,
                limits=limits,
                allowed_hosts=names,
                sweep_every=sweep_every,
                sweep_policy=sweep_policy,
                upstream=upstream,
            )
            base = f"http://{_shown(host)}:{listener.getsockname()[1]}"

            def listening() -> None:
                tell(f"Palaver serves {store.name} on {base} (Ctrl+C stops it)")
                tell(f"Try: {begin_command(base)}")
                tell(f"then answer it, with its id for ID: {finish_command(base)}")
                tell(f"and look: {list_command(base)}")

            config = uvicorn.Config(
                application,
                log_level=log_level,
                access_log=False,
                server_header=False,
                lifespan="on",
                ws="none",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            with contextlib.suppress(KeyboardInterrupt):
                _Server(config, application, listening).run(sockets=[listener])


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the one who started the server waits for


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        msg = f"cannot listen on {host} port {port}: {exc.strerror or exc}; choose another port, or 0 for a free one"
        raise OSError(exc.errno, msg) from exc


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
