"""A session as a file to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.responses import Response, StreamingResponse

from palaver.exporters import html, info_of, jsonl, markdown, read, read_whole, record_of
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.server.inspector.conversation import found
from palaver.server.inspector.visits import Refusal, View, Visit
from palaver.server.reach import blocking

__all__ = ["VIEWS"]


def _markdown(manager: SessionManager, info: SessionInfo) -> Iterator[str]:
    return markdown.page(info, read(manager, info, everything=False, media=False))


def _html(manager: SessionManager, info: SessionInfo) -> Iterator[str]:
    return html.page(info, read(manager, info, everything=False))


def _jsonl(manager: SessionManager, info: SessionInfo) -> Iterator[str]:
    record = record_of(manager, info.id)
    return jsonl.lines(info_of(record, info), read_whole(manager, record, seen=set()), record=record)


_FORMATS: dict[str, tuple[str, str, Callable[[SessionManager, SessionInfo], Iterator[str]]]] = {
    "markdown": (".md", "text/markdown; charset=utf-8", _markdown),
    "html": (".html", "text/html; charset=utf-8", _html),
    "jsonl": (".jsonl", "application/jsonl; charset=utf-8", _jsonl),
}


async def export(visit: Visit) -> Response:
    """The conversation in a format, in pieces as they are read."""
    _, info = await found(visit)
    form = visit.query.get("format", "markdown")
    if form not in _FORMATS:
        raise Refusal(400, "No such format", f"There are {', '.join(_FORMATS)}.")
    suffix, kind, made = _FORMATS[form]
    headers = {
        "Content-Disposition": f'attachment; filename="{info.id}{suffix}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(made(blocking(visit.sessions), info), media_type=kind, headers=headers)


VIEWS = (View("GET", "/sessions/{session_id}/export", export),)
