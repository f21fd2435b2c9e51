"""One request for a page: who asks, whose sessions they see, and how answers and errors become pages."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from palaver.aio import AsyncSessionManager
from palaver.errors import PalaverError
from palaver.server import observed as noticed
from palaver.server.inspector import access
from palaver.server.inspector.access import Visitor
from palaver.server.inspector.templating import link, render
from palaver.server.limits import Limits
from palaver.server.pacing import Slower
from palaver.server.problems import ProblemError, of_error, problem
from palaver.server.reading import read_body

__all__ = ["HEADERS", "Flash", "Refusal", "View", "Visit", "moved", "page", "responder"]

logger = logging.getLogger("palaver.server")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: a browser then sends `Origin: null` with this server's own forms, which the guard refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FLASH = "palaver_said"
_LONGEST_FLASH = 3_000
_FIELDS = 100
_STRANGERS_FORM = 64 * 1024
"""Bytes of a form of who has shown no key: a key, and where to go then."""


class Flash(msgspec.Struct, frozen=True, kw_only=True):
    """What the page before has to say on this one, and the form that takes it back."""

    text: str
    action: str | None = None
    """Path that the form is sent to; None: there is nothing to take back."""
    fields: dict[str, str] = {}  # msgspec gives every value its own copy


class Refusal(Exception):
    """A request that is answered with a page that says why not."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page."""

    request: Request
    visitor: Visitor
    sessions: AsyncSessionManager
    """As the visitor may see them."""
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    secret: str
    """What the visitor's forms are signed with."""

    def number(self, name: str, *, least: int = 1) -> int | None:
        """A whole number of the query; None where it is not given. Raises Refusal for what is none."""
        text = self.query.get(name, "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text) >= least):
            raise Refusal(400, "That is no number", f"{name} is a whole number, {least} or more; it was {text[:40]!r}.")
        return int(text)


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class View:
    """One method of one path."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    open: bool = False
    """Whether it is there for those who have shown no key."""
    administers: bool = False
    """Whether it takes more than reading and writing."""


async def page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
    """A template as an answer. Rendered in a thread: a long transcript must not hold others up."""
    said = _flash(visit)
    text = await run_in_threadpool(
        render,
        template,
        visitor=visit.visitor,
        token=access.form_token(visit.secret),
        flash=said,
        query=visit.query,
        here=visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else ""),
        **values,
    )
    response = HTMLResponse(text, status)
    if said is not None:
        response.delete_cookie(_FLASH, path="/")
    return response


def moved(visit: Visit, to: str, said: Flash | None = None) -> Response:
    """An answer to a form: look there."""
    response = RedirectResponse(to, 303)
    if said is not None:
        text = base64.urlsafe_b64encode(msgspec.json.encode(said)).decode()
        if len(text) > _LONGEST_FLASH:  # a browser would not keep it: what was done is said, without its undoing
            text = base64.urlsafe_b64encode(msgspec.json.encode(Flash(text=said.text[:500]))).decode()
        access.keep_cookie(response, visit.request, _FLASH, f"{text}.{access.said_mark(visit.secret, text)}")
    return response


def _flash(visit: Visit) -> Flash | None:
    """What this server said to this visitor: text of anybody else, with a form beneath it, is not shown."""
    text, _, mark = visit.request.cookies.get(_FLASH, "").partition(".")
    if not hmac.compare_digest(mark.encode(), access.said_mark(visit.secret, text).encode()):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=Flash)
    except (binascii.Error, ValueError):  # DecodeError is a ValueError: somebody else's cookie of that name
        return None


def responder(view: View, limits: Limits) -> Callable[[Request], Awaitable[Response]]:
    """What answers requests for a view."""

    async def respond(request: Request) -> Response:
        noticed.record_of(request.scope).route = view.path
        secret = access.form_secret(request)
        try:
            response = await _answered(view, request, limits, secret)
        except ClientDisconnect:
            response = Response(status_code=400)
        except (Refusal, ProblemError, PalaverError) as error:
            response = _refused(error, secret)
        except Exception as error:  # noqa: BLE001 - the last resort: said in the log, without what the request held
            number = str(uuid.uuid4())
            logger.error(  # noqa: TRY400 - a trace may quote what is stored
                "inspector.error %s %s %s",
                view.path,
                type(error).__name__,
                number,
                extra={"action": "inspector.error", "error": type(error).__name__, "error_id": number},
            )
            failed = Refusal(500, "This page failed", f"The server's log says how; it knows this as {number}.")
            response = _refused(failed, secret)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.cookies.get(access.FORM_COOKIE) != secret:
            # Not strict: a visitor who followed a link from elsewhere would get a new one, and open forms go stale.
            access.keep_cookie(response, request, access.FORM_COOKIE, secret, strict=False)
        return response

    return respond


async def _answered(view: View, request: Request, limits: Limits, secret: str) -> Response:
    form: dict[str, str] = {}
    try:
        visitor = access.visitor_of(request)
    except Slower:
        if not view.open:
            raise
        visitor = None
    stranger = visitor is None
    if view.method == "POST":
        # Before they showed a key, anybody could fill the memory with what no form is as large as.
        form = await _form(request, limits, limits.max_body_bytes if visitor is not None else _STRANGERS_FORM)
        if not access.is_own_form(request, form):
            detail = (
                "It came from another site, or from a page that is too old. Go back, load the page again, and retry."
            )
            raise Refusal(403, "This form was not taken", detail)
    if visitor is None and not view.open:
        if view.method == "POST" or "text/html" not in request.headers.get("accept", "text/html"):
            raise Refusal(401, "You are not logged in", "Log in with a key, and try again.")
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked = RedirectResponse(link("login", next=wanted if wanted != "/" else None), 303)
        access.forget_key(asked, request)
        return asked
    if visitor is not None:
        noticed.record_of(request.scope).key = visitor.name
    visitor = visitor or Visitor(may_write=False, may_administer=False)
    if (view.method == "POST" and not view.open and not visitor.may_write) or (
        view.administers and not visitor.may_administer
    ):
        raise Refusal(403, "Your key does not allow that", "Ask for a key with more permissions.")
    sessions: AsyncSessionManager = request.app.state.sessions
    if visitor.owner is not None:
        sessions = sessions.for_owner(visitor.owner)
    path = {name: _text(value) for name, value in request.path_params.items()}
    query = dict(request.query_params)
    try:
        response = await view.handler(Visit(request, visitor, sessions, path, query, form, secret))
    except PalaverError as error:
        raise ProblemError(of_error(error, owner=visitor.owner)) from error
    if stranger and view.method == "GET":
        access.forget_key(response, request)
    return response


async def _form(request: Request, limits: Limits, largest: int) -> dict[str, str]:
    """The fields of a form; of those that come twice the last."""
    body = await read_body(request, min(largest, limits.max_body_bytes), limits.body_seconds)
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Refusal(415, "This form was not taken", "Forms are sent as application/x-www-form-urlencoded.")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except ValueError as exc:
        raise Refusal(400, "This form was not taken", "It is not written as forms are.") from exc


def _text(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as exc:
        raise problem("bad-request", "the path is not UTF-8") from exc


_NAMES = {404: "Not found", 409: "That does not go together", 410: "Gone"}


def _refused(error: Refusal | ProblemError | PalaverError, secret: str) -> Response:
    if isinstance(error, Refusal):
        status, title, detail = error.status, error.title, str(error)
    else:
        found = error.problem if isinstance(error, ProblemError) else of_error(error)
        status, title, detail = found.status, _NAMES.get(found.status, found.title), found.detail
    text = render(
        "refusal.html",
        visitor=Visitor(),
        token=access.form_token(secret),
        flash=None,
        query={},
        here="/",
        status=status,
        heading=title,
        detail=detail,
    )
    return HTMLResponse(text, status, error.headers if isinstance(error, Slower) else None)
