"""What is noticed of every request: its id, and for log and figures its route, status and duration; no content."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palaver.server.headers import first_of
from palaver.server.metrics import Meter

__all__ = ["Observed", "Record", "Tracer", "record_of", "tracer"]

logger = logging.getLogger("palaver.server")

_GIVEN = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
_OTHER = "other"
"""The route of what has none: a path is text of the one who asks."""


class Record:
    """One request, as far as it is noticed."""

    __slots__ = ("id", "key", "operation", "route", "status", "streams")

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.route = _OTHER
        self.operation = _OTHER
        self.key: str | None = None
        """Id of the key that it came with."""
        self.status = 0
        self.streams = False


class Tracer(Protocol):
    """Follows requests in a trace."""

    def span(self, scope: Scope, record: Record) -> AbstractContextManager[None]:
        """Around the answer to a request."""
        ...


def record_of(scope: Scope) -> Record:
    """What is noticed of this request."""
    found: Record | None = scope.get("palaver.record")
    return found if found is not None else Record("")


class Observed:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, *, meter: Meter, traces: Tracer | None = None) -> None:
        self._app = app
        self._meter = meter
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notice a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = first_of(scope, b"x-request-id") or ""
        record = Record(given if given and _GIVEN.fullmatch(given) else secrets.token_hex(16))
        scope["palaver.record"] = record
        began = time.perf_counter()

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.id.encode())]
                record.streams = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            await send(message)

        self._meter.running += 1
        try:
            with self._traces.span(scope, record) if self._traces is not None else contextlib.nullcontext():
                await self._app(scope, receive, numbered)
        finally:
            self._meter.running -= 1
            self._tell(scope["method"], record, time.perf_counter() - began)

    def _tell(self, method: str, record: Record, seconds: float) -> None:
        self._meter.count(method, record.route, record.status, None if record.streams else seconds)
        if not logger.isEnabledFor(logging.INFO):
            return
        fields: dict[str, Any] = {
            "operation": record.operation,
            "route": record.route,
            "status": record.status,
            "duration_ms": round(seconds * 1000, 1),
            "request_id": record.id,
        }
        if record.key is not None:
            fields["key"] = record.key
        logger.info("http.request %s", fields, extra={"action": "http.request", **fields})


class _OpenTelemetry:
    """Spans by OpenTelemetry's API: where they go is the business of the SDK that the process is given."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import propagate, trace

        self._extract = propagate.extract
        self._kind = trace.SpanKind.SERVER
        self._failed = trace.Status(trace.StatusCode.ERROR)
        self._tracer = trace.get_tracer("palaver.server", tracer_provider=provider)

    @contextmanager
    def span(self, scope: Scope, record: Record) -> Generator[None]:
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context = self._extract({name: carrier[name] for name in ("traceparent", "tracestate") if name in carrier})
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method, context=context, kind=self._kind, record_exception=False
        ) as span:
            try:
                yield
            finally:
                # Names as in OpenTelemetry's semantic conventions for HTTP servers, 1.23 and later.
                span.update_name(f"{method} {record.route}")
                span.set_attribute("http.request.method", method)
                span.set_attribute("http.route", record.route)
                span.set_attribute("http.response.status_code", record.status)
                span.set_attribute("palaver.request_id", record.id)
                if record.status >= 500:
                    span.set_status(self._failed)


def tracer(provider: Any = None) -> Tracer:
    """Follow requests with OpenTelemetry; by the process's own provider unless another is given.

    Raises ModuleNotFoundError where the extra `otel` is not installed.
    """
    return _OpenTelemetry(provider)
