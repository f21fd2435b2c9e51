"""Errors as Anthropic's API spells them: `{"type": "error", "error": {"type", "message"}}`."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.responses import Response

from palaver.server.openai_style import error_status
from palaver.server.problems import Problem, retry_after
from palaver.server.style import Style

__all__ = ["ANTHROPIC", "AnthropicError", "AnthropicErrorBody"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class AnthropicError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    type: str
    message: str


class AnthropicErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error, as Anthropic's API answers it."""

    type: Literal["error"] = "error"
    error: AnthropicError


def _answer(found: Problem, headers: dict[str, str] | None = None) -> Response:
    status = error_status(found.status)
    out = dict(headers or {})
    out |= retry_after(found)
    if found.status in {408, 413}:
        out["Connection"] = "close"  # what is left of the body is not read
    where = f"{found.path}: " if isinstance(found.path, str) else ""
    usual = "invalid_request_error" if status < 500 else "api_error"
    error = AnthropicError(type=_TYPES.get(status, usual), message=f"{where}{found.detail}")
    return Response(msgspec.json.encode(AnthropicErrorBody(error=error)), status, out, "application/json")


ANTHROPIC = Style(
    answer=_answer, error=AnthropicErrorBody, media_type="application/json", status=error_status, lenient=True
)
"""Anthropic's API: its error bodies; and keys that Palaver does not know are no error, as clients send new ones."""
