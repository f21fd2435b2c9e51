"""A session as a file to keep."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from palaver.errors import CorruptRecord, StoreUnavailable
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.server.cutting import cut_off_if_it_fails
from palaver.server.exporting import sent
from palaver.server.inspector.conversation import found
from palaver.server.inspector.visits import Refusal, View, Visit
from palaver.server.reach import blocking

__all__ = ["VIEWS"]

_TYPES = {
    Format.markdown: "text/markdown; charset=utf-8",
    Format.html: "text/html; charset=utf-8",
    Format.text: "text/plain; charset=utf-8",
    Format.jsonl: "application/jsonl; charset=utf-8",
}


def _damaged(error: StoreUnavailable | CorruptRecord) -> None:
    raise error


async def export(visit: Visit) -> Response:
    """The conversation in a format, in pieces as they are read."""
    _, info = await found(visit)
    form = next((each for each in _TYPES if each.value == visit.query.get("format", "markdown")), None)
    if form is None:
        raise Refusal(400, "No such format", f"There are {', '.join(each.value for each in _TYPES)}.")
    headers = {
        "Content-Disposition": f'attachment; filename="{info.id}{form.suffix}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    pieces = text_of(blocking(visit.sessions), info, Wanted(format=form), seen=set(), damaged=_damaged)
    chunks = cut_off_if_it_fails(await sent(visit.sessions, pieces), "export")
    return StreamingResponse(chunks, media_type=_TYPES[form], headers=headers)


VIEWS = (View("GET", "/sessions/{session_id}/export", export),)
