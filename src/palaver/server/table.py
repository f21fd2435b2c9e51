"""What a route is: one line of the table that routing, the OpenAPI document and the documentation are made from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.server.access import Needs
from palaver.server.limits import Limits
from palaver.server.reading import Cleaned
from palaver.server.style import PROBLEMS, Style

__all__ = ["Answer", "Call", "Endpoint", "Handler", "NoQuery", "Stream"]

Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameter: any is refused."""


class Call(msgspec.Struct, frozen=True):
    """One request, read and checked: what an endpoint's handler works with."""

    request: Request
    sessions: AsyncSessionManager
    """As the request's owner sees it."""
    path: Mapping[str, str]
    body: Any
    """A struct of one of the endpoint's `bodies`."""
    query: Any
    """A struct of the endpoint's `query`."""
    cleaned: tuple[Cleaned, ...]
    """What of the body had to be mended."""
    limits: Limits
    raw: bytes = b""
    """The body as it came."""


class Answer(msgspec.Struct, frozen=True):
    """What a handler answers: a value to be sent as JSON."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stream:
    """What a handler answers bit by bit. Whatever fails before the first bit is to be raised by the handler itself."""

    chunks: AsyncIterator[bytes]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Handler: TypeAlias = Callable[[Call], Awaitable[Answer | Stream | Response]]
"""A response is sent as it is: a stream of events."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: Method
    path: str
    name: str
    """The operation's id in the OpenAPI document."""
    summary: str
    handler: Handler
    answers: Mapping[int, str]
    """Status codes of success, and what each means."""
    answer: type[Any]
    bodies: tuple[type[Any], ...] = ()
    """One, or two: the second is for bodies that name a `wire`."""
    body_required: bool = True
    query: type[Any] = NoQuery
    problems: tuple[str, ...] = ()
    """Slugs of the problems that are this endpoint's own."""
    example: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Request headers that it reads, and what each means."""
    style: Style = PROBLEMS
    """How its errors are spelled."""
    takes: tuple[str, ...] = ()
    """Media types of a body that the handler reads by itself, bit by bit; then there are no `bodies`."""
    gives: tuple[str, ...] = ("application/json",)
    """Media types of the answer."""
    operator: bool = False
    """Whether it is about the whole store, and refused where the request names an owner."""
    asks: Needs | None = None
    """What the key has to allow; None: what its method suggests."""
    streams: bool = False
    """Whether it also answers as a stream of events, to who accepts `text/event-stream`."""

    @property
    def needs(self) -> Needs:
        """What the key of the one who asks has to allow."""
        return self.asks or ("read" if self.method == "GET" else "write")
