"""Running the server until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from palaver.apikeys import KeyFile, keys_path
from palaver.errors import PalaverError
from palaver.server.application import app
from palaver.server.garbage import seldom_collected
from palaver.server.limits import Limits
from palaver.server.logs import log_to_stderr
from palaver.server.observed import Tracer
from palaver.server.pages import trial
from palaver.server.passthrough import Upstream
from palaver.server.protocol import deadlined
from palaver.settings import Settings
from palaver.stores.base import Store
from palaver.stores.urls import open_store
from palaver.sweeping import SweepPolicy

__all__ = ["serve"]

SWEEP_EVERY = timedelta(hours=1)
DRAIN = timedelta(seconds=10)
"""How long turns that began here may go on when the server is told to stop."""
_ASK_SECONDS = 1.0
"""How often the store is asked meanwhile whether they were ended by way of another server."""
GRACE_SECONDS = 10
"""How long requests under way may take when the server is told to stop; waits for a busy session end at once."""


class _Server(uvicorn.Server):
    """Says when it listens, lets turns end before it stops, and lets waiting requests know when it does."""

    def __init__(
        self, config: uvicorn.Config, application: Starlette, listening: Callable[[], None], drain: timedelta
    ) -> None:
        super().__init__(config)
        self._application = application
        self._listening = listening
        self._drain = drain.total_seconds()
        self._draining_until: float | None = None
        self._ask_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop: once it is told to, and the turns that were begun here have ended or had their time."""
        return await super().on_tick(counter) and not await self._waits()

    async def _waits(self) -> bool:
        state = self._application.state
        if self.force_exit or signal.SIGTERM not in self._captured_signals:
            return False  # a person who presses Ctrl+C does not wait
        now = time.monotonic()
        if self._draining_until is None:
            self._draining_until = now + self._drain
            state.draining = True
            state.live.close()
        if state.turns and now >= self._ask_at:
            self._ask_at = now + _ASK_SECONDS
            with contextlib.suppress(PalaverError):  # a store that cannot be asked: what began here is waited for
                state.turns.keep(await state.sessions.open_turns())
        return now < self._draining_until and bool(state.turns)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.closing = True
        self._application.state.live.close()
        await super().shutdown(sockets)
        # uvicorn would raise it again, and the process end by it, at once: before the store is closed, and with a
        # status (143) that most who watch over processes call a failure. Being told to stop, and stopping, is none.
        self._captured_signals = [each for each in self._captured_signals if each != signal.SIGTERM]


def serve(
    url: str | os.PathLike[str] | Store,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
    keys: str | os.PathLike[str] | None = None,
    sweep_every: timedelta | None = SWEEP_EVERY,
    sweep_policy: SweepPolicy | None = None,
    upstream: Upstream | str | None = None,
    cors_origins: tuple[str, ...] = (),
    traces: Tracer | None = None,
    drain: timedelta = DRAIN,
    log_level: str = "warning",
    log_json: bool = False,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve a store until SIGINT or SIGTERM. `port` 0 takes a free one.

    On SIGTERM it takes no new turns, says so at `/readyz`, and goes on as long as turns that began here have not ended,
    at most `drain`; then it answers what is under way, and stops. A turn that is not over goes on elsewhere by its id.

    It sweeps every hour (see `SessionManager.sweep`) unless `sweep_every` says otherwise, or None: never.
    `upstream` is who answers what is passed through; see `app`.
    When the server listens, `say` (print, unless given) is told its address and commands to try it with.

    It asks for keys, from the file `keys` (else where `palaver keys` puts them: see `palaver.apikeys.keys_path`), as
    soon as there is one. Without any it listens on this machine alone, and says so.

    Raises ValueError for a host that other machines reach while there is no key, and for a file of keys that cannot be
    used. Raises OSError where the address cannot be had, StoreError where the store cannot be opened.
    """
    tell = say if say is not None else _print
    file = KeyFile(keys if keys is not None else keys_path("" if isinstance(url, Store) else os.fspath(url)))
    known = len(file.all())
    if not known and not _is_loopback(host):
        msg = (
            f"host {host!r} can be reached from other machines, and there is no key to this server yet: make one with "
            f"palaver keys create NAME --file {file.path}, or listen on 127.0.0.1"
        )
        raise ValueError(msg)
    names = allowed_hosts if host in {"", "0.0.0.0", "::"} else (host, *allowed_hosts)  # noqa: S104 - compared, not bound
    listener = _listener(host, port)
    with contextlib.closing(listener):
        log_to_stderr(log_level, json=log_json)  # before the store is opened: its server may have to be waited for
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
                keys=file.path,
                keys_required=not _is_loopback(host),
                cors_origins=cors_origins,
                traces=traces,
            )
            base = f"http://{_shown(host)}:{listener.getsockname()[1]}"

            def listening() -> None:
                tell(f"Palaver serves {store.name} on {base} (Ctrl+C stops it)")
                begin, finish, look = trial(base, keyed=known > 0)
                tell(f"Try: {begin}")
                tell(f"then answer it, with its id for ID: {finish}")
                tell(f"and look: {look}")
                tell(_who(file.path, known))

            allowed = limits or Limits()
            config = uvicorn.Config(
                application,
                http=deadlined(allowed.header_seconds, allowed.body_seconds),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                ws="none",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            with seldom_collected(), contextlib.suppress(KeyboardInterrupt):
                _Server(config, application, listening, drain).run(sockets=[listener])


def _who(path: Path, known: int) -> str:
    if known:
        return f"It asks for a key, in the place of KEY; those that it knows are in {path}"
    return (
        "It asks nobody for a key: whatever runs on this machine may read and change everything; "
        "`palaver keys create NAME` changes that"
    )


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
