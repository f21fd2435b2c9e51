"""The ASGI application: routes from the table, one dispatcher, and the store's life."""

from __future__ import annotations

import logging
import os
import time
import traceback
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from palaver.aio import AsyncSessionManager, aopen
from palaver.apikeys import KeyFile
from palaver.errors import PalaverError
from palaver.server import pages
from palaver.server.access import OWNER_HEADER, Keys, access_of, owned, require
from palaver.server.cutting import cut_off_if_it_fails
from palaver.server.directory import Directory, Respond
from palaver.server.draining import OpenHere
from palaver.server.families import Families
from palaver.server.headers import all_of, first_of
from palaver.server.inspector import pages as inspector_pages
from palaver.server.limits import Limits
from palaver.server.live import Hub, listening
from palaver.server.manual import manual
from palaver.server.metrics import Meter
from palaver.server.observed import Tracer, record_of
from palaver.server.openapi import INCOGNITO_HEADER, document
from palaver.server.passthrough import Upstream, exchanging, require_ready
from palaver.server.probes import PROBES
from palaver.server.problems import KINDS, Problem, ProblemError, answer, of_error, problem
from palaver.server.reach import of_clients
from palaver.server.reading import Cleaned, decode, decode_query, read_body, require_json, require_type
from palaver.server.routes import ENDPOINTS
from palaver.server.stack import stack
from palaver.server.sweeping import sweeping
from palaver.server.table import Answer, Call, Endpoint, NoQuery, Stream
from palaver.settings import Settings
from palaver.stores.base import Store
from palaver.sweeping import SweepPolicy

__all__ = ["app"]

logger = logging.getLogger("palaver.server")

_FAMILIES = Families(ENDPOINTS)
_INCOGNITO = INCOGNITO_HEADER.lower().encode()


class _Wire(msgspec.Struct, frozen=True):
    """Whether a body names a wire: it is then of the second kind that its endpoint takes."""

    wire: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def app(
    sessions: AsyncSessionManager | Store | str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
    sweep_every: timedelta | None = None,
    sweep_policy: SweepPolicy | None = None,
    workers: int | None = None,
    upstream: Upstream | str | None = None,
    keys: str | os.PathLike[str] | None = None,
    keys_required: bool = False,
    cors_origins: tuple[str, ...] = (),
    traces: Tracer | None = None,
) -> Starlette:
    """The ASGI application over a store.

    A URL (or an open store) is opened when the application starts and closed when it stops; a manager stays the
    caller's, and brings its own settings. `allowed_hosts` are names that the server is reached by, besides
    `localhost`, `127.0.0.1` and `[::1]`: a request under any other name is refused.

    With `sweep_every` it sweeps by itself, by `sweep_policy` (see `SessionManager.sweep`), as long as it runs.
    `workers` is how many processes serve the application together (None: what the environment's WEB_CONCURRENCY says,
    as uvicorn and gunicorn take it): with more than one there are no incognito sessions.

    `keys` is the file that `palaver keys` writes (see `palaver.apikeys.keys_path`): as soon as there is a key in it, or
    at once where it is `required`, a request needs one. Without a file whoever asks may do everything: so it has to be
    out of reach of others, or behind something that knows them.

    Pages of other sites may not ask, but those of `cors_origins`. `traces` follows requests, as
    `palaver.server.observed.tracer()` does with OpenTelemetry.

    `upstream` is who answers what `/v1/chat/completions` and its like are asked (a str: its address, without a key);
    it needs the extra of that name, and ModuleNotFoundError says so.

    Raises ValueError for settings beside a manager, an interval that is not positive, a host with a scheme or port,
    or an origin without.
    """
    if isinstance(sessions, AsyncSessionManager) and settings is not None:
        msg = "a manager has its settings already: give settings= with a URL only"
        raise ValueError(msg)

    if sweep_every is not None and sweep_every <= timedelta(0):
        msg = f"sweep_every is {sweep_every}; it is a length of time, such as timedelta(hours=1), or None for never"
        raise ValueError(msg)

    answering = Upstream(url=upstream) if isinstance(upstream, str) else upstream
    if answering is not None:
        require_ready(answering)

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncGenerator[None]:
        if isinstance(sessions, AsyncSessionManager):
            application.state.sessions = of_clients(sessions)
            async with (
                sweeping(sessions, sweep_every, sweep_policy),
                listening(application.state.live),
                exchanging(application, answering),
            ):
                yield
            return
        async with aopen(sessions, settings=settings) as opened:
            application.state.sessions = of_clients(opened)
            async with (
                sweeping(opened, sweep_every, sweep_policy),
                listening(application.state.live),
                exchanging(application, answering),
            ):
                yield

    limits = limits or Limits()
    known = None if keys is None else Keys(KeyFile(keys), required=keys_required, seconds=time.monotonic)
    meter = Meter()
    responders: dict[tuple[str, str], Respond] = {(e.method, e.path): _responder(e, limits) for e in ENDPOINTS}
    made = Starlette(
        routes=_routes(responders, limits),
        middleware=stack(
            names=allowed_hosts,
            origins=cors_origins,
            keys=known,
            limits=limits,
            families=_FAMILIES,
            meter=meter,
            traces=traces,
            directory=Directory(responders),
        ),
        exception_handlers={HTTPException: _not_routed},
        lifespan=lifespan,
    )
    made.router.redirect_slashes = False
    made.state.keys = known
    made.state.meter = meter
    made.state.turns = OpenHere()
    made.state.live = Hub(lambda: made.state.sessions)
    made.state.processes = _processes() if workers is None else workers
    return made


def _processes() -> int:
    """How many processes the environment asks a server for."""
    said = os.environ.get("WEB_CONCURRENCY", "")
    return int(said) if said.isdecimal() and said.isascii() else 1


def _routes(responders: Mapping[tuple[str, str], Respond], limits: Limits) -> list[Route]:
    """One route for each path, so that Allow names all of its methods."""
    paths: dict[str, dict[str, Respond]] = {}
    for (method, path), respond in responders.items():
        paths.setdefault(path, {})[method] = respond
    whole = document(ENDPOINTS)
    described = msgspec.json.encode(whole)

    async def openapi(_: Request) -> Response:
        return Response(described, media_type="application/json")

    async def docs(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return manual(whole, _base(request), keyed=_is_keyed(request))
        return PlainTextResponse(pages.text_page(ENDPOINTS, _base(request), keyed=_is_keyed(request)))

    async def kind(request: Request) -> Response:
        found = KINDS.get(request.path_params["slug"])
        if found is None:
            raise HTTPException(404)
        return Response(msgspec.json.encode(found), media_type="application/json")

    own: dict[str, Respond] = {"/docs": docs, "/openapi.json": openapi, "/problems/{slug}": kind}
    for path, respond in (own | PROBES).items():
        paths[path] = {"GET": _page(path, respond)}
    paths.update(inspector_pages(limits))
    return [Route(path, _by_method(methods), methods=sorted(methods)) for path, methods in paths.items()]


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}"


def _is_keyed(request: Request) -> bool:
    keys: Keys | None = request.app.state.keys
    return keys is not None and keys.required


def _by_method(methods: Mapping[str, Respond]) -> Respond:
    async def respond(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method](request)

    return respond


def _responder(each: Endpoint, limits: Limits) -> Respond:
    async def respond(request: Request) -> Response:
        record = record_of(request.scope)
        record.route, record.operation = each.path, each.name
        return await _answered(each, request, limits)

    return respond


def _page(path: str, respond: Respond) -> Respond:
    """A page of the server about itself, under its own name in the log."""

    async def named(request: Request) -> Response:
        record_of(request.scope).route = path
        return await respond(request)

    return named


async def _answered(each: Endpoint, request: Request, limits: Limits) -> Response:
    """The one place where errors become answers."""
    try:
        done = await each.handler(await _read(each, request, limits))
        return _streamed(each, request, done) if isinstance(done, Stream) else _encoded(done)
    except ProblemError as error:
        return each.style.answer(error.problem, None)
    except PalaverError as error:
        found = of_error(error, owner=access_of(request).owner)
        if found.status >= 500:
            _log(logging.ERROR, "http.store_error", each, {"error": type(error).__name__, "status": found.status})
        return each.style.answer(found, None)
    except ClientDisconnect:
        return answer(problem("bad-request", "the client went away while it sent the body").problem)
    except Exception as error:  # noqa: BLE001 - the last resort: said in the log, without what the request held
        return each.style.answer(_unexpected(each, error), None)


def _encoded(done: Answer | Response) -> Response:
    if isinstance(done, Response):
        return done
    if done.value is None:
        return Response(status_code=done.status, headers=dict(done.headers))
    return Response(
        msgspec.json.encode(done.value),
        status_code=done.status,
        headers=dict(done.headers),
        media_type="application/json",
    )


def _streamed(each: Endpoint, request: Request, done: Stream) -> Response:
    headers = dict(done.headers)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=done.media_type)

    async def chunks() -> AsyncGenerator[bytes]:
        async for chunk in cut_off_if_it_fails(done.chunks, each.name):
            yield chunk
            if await request.is_disconnected():  # else all of it would be read for nobody
                return

    return StreamingResponse(chunks(), headers=headers, media_type=done.media_type)


async def _read(each: Endpoint, request: Request, limits: Limits) -> Call:
    require(access_of(request), each.needs)
    sessions = owned(request, _kept(request))
    if each.operator and sessions.owner is not None:
        raise problem("operator-only", f"{each.method} {each.path} is about the whole store: leave {OWNER_HEADER} out")
    if each.operator and (first_of(request.scope, _INCOGNITO) or "").lower() == "true":
        detail = f"{each.method} {each.path} is about what is kept: leave {INCOGNITO_HEADER} out"
        raise problem("bad-request", detail, path=INCOGNITO_HEADER)
    path = {name: _text(name, value) for name, value in request.path_params.items()}
    query = decode_query(request, each.query, lenient=each.style.lenient)
    body: Any = None
    raw = b""
    cleaned: tuple[Cleaned, ...] = ()
    if each.takes:
        require_type(request, each.takes)
    elif each.method != "GET":
        raw = await read_body(request, limits.max_body_bytes, limits.body_seconds)
        if each.bodies and (raw or each.body_required):
            require_json(request)
            body, cleaned = decode(raw, _kind_of(each, raw))
        elif raw:
            _require_nothing(each, raw)
    return Call(request, sessions, path, body, query, cleaned, limits, raw)


def _require_nothing(each: Endpoint, raw: bytes) -> None:
    """Take an empty object where there is nothing to say: many clients send one with each POST."""
    try:
        decode(raw, NoQuery)
    except ProblemError as exc:
        raise problem("invalid-request", f"{each.method} {each.path} takes no body, or an empty object") from exc


def _kind_of(each: Endpoint, raw: bytes) -> type[Any]:
    if len(each.bodies) == 1:
        return each.bodies[0]
    said, _ = decode(raw, _Wire)
    return each.bodies[0 if isinstance(said.wire, msgspec.UnsetType) else 1]


def _text(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as exc:
        raise problem("bad-request", f"the path's {name} is not UTF-8", path=name) from exc


def _kept(request: Request) -> AsyncSessionManager:
    """All sessions of the store; where the request asks for it, those in memory alone."""
    sessions: AsyncSessionManager = request.app.state.sessions
    given = all_of(request.scope, _INCOGNITO)
    said = ", ".join(given).lower() or "false"  # twice it is neither: one of the two would be kept against its will
    if said not in {"true", "false"}:
        raise problem("bad-request", f"{INCOGNITO_HEADER} is {said!r}; it is true or false", path=INCOGNITO_HEADER)
    if said == "false":
        return sessions
    if request.app.state.processes > 1:
        detail = (
            f"this server has {request.app.state.processes} processes, and an incognito session is in the memory of "
            "one alone: the next request would not find it. Run a server with one process for them"
        )
        raise problem("incognito-unavailable", detail, path=INCOGNITO_HEADER)
    return sessions.incognito()


def _unexpected(each: Endpoint, error: Exception) -> Problem:
    """A problem without internals. The log gets the kind of error and where it was raised, not its text."""
    number = uuid.uuid4().hex
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    _log(logging.ERROR, "http.error", each, {"error": type(error).__name__, "error_id": number, "frames": frames})
    found = problem("internal-error", "the server failed; its operator finds this error by its instance").problem
    return msgspec.structs.replace(found, instance=f"urn:uuid:{uuid.UUID(number)}")


def _log(level: int, action: str, each: Endpoint, fields: dict[str, Any]) -> None:
    logger.log(level, "%s %s %s", action, each.name, fields, extra={"action": action, "operation": each.name, **fields})


async def _not_routed(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    path = request.url.path
    style = _FAMILIES.style_of(path)
    if status == 405:
        headers["Allow"] = ", ".join(sorted(name.strip() for name in headers.get("Allow", "").split(",")))
        detail = f"{path} does not take {request.method}; it takes {headers['Allow']}"
        return style.answer(problem("method-not-allowed", detail).problem, headers)
    remedy = _FAMILIES.hint(path) or "/docs lists what there is"
    return style.answer(problem("not-found", f"there is nothing at {path}; {remedy}").problem, headers)
