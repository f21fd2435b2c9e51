"""Errors as OpenAI's API spells them, so that its official clients raise what they would of OpenAI.

The shape, the codes and the sentences are those of recorded answers: `{"error": {"message", "type", "param", "code"}}`.
"""

from __future__ import annotations

import re

import msgspec
from starlette.responses import Response

from palaver.server.problems import Problem, retry_after
from palaver.server.style import Style

__all__ = ["OPENAI", "OpenAIError", "OpenAIErrorBody", "error_status"]


class OpenAIError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    """Where in the request."""
    code: str | None


class OpenAIErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error, as OpenAI's API answers it."""

    error: OpenAIError


# What msgspec says of a value, and what OpenAI says of it: the code, and the sentence.
_LIMITS = (
    (r"Expected `int` <= (\d+)", "integer_above_max_value", "integer above maximum value. Expected a value <= {0}"),
    (r"Expected `int` >= (\d+)", "integer_below_min_value", "integer below minimum value. Expected a value >= {0}"),
    (
        r"Expected `array` of length <= (\d+)",
        "array_above_max_length",
        "array too long. Expected an array with maximum length {0}",
    ),
    (
        r"Expected `array` of length >= (\d+)",
        "empty_array",
        "empty array. Expected an array with minimum length {0}, but got an empty array instead",
    ),
    (
        r"Expected `object` of length <= (\d+)",
        "object_above_max_properties",
        "too many properties. Expected an object with at most {0} properties",
    ),
    (
        r"Expected `str` of length <= (\d+)",
        "string_above_max_length",
        "string too long. Expected a string with maximum length {0}",
    ),
)
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_ENUM = re.compile(r"Invalid enum value (.+?)(?: - at|$)")
_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_NO_CODE = frozenset({"session-not-found", "item-not-found"})
_OWN_STATUS = frozenset({401, 403, 404, 405, 408, 409, 413, 429})


def error_status(status: int) -> int:
    """OpenAI answers with few statuses: what is wrong with a request is a 400."""
    if status in _OWN_STATUS or status >= 500:
        return status
    return 404 if status == 410 else 400


def _answer(found: Problem, headers: dict[str, str] | None = None) -> Response:
    slug = found.type.rpartition("/")[2]
    status = error_status(found.status)
    out = dict(headers or {})
    out |= retry_after(found)
    if found.status in {408, 413}:
        out["Connection"] = "close"  # what is left of the body is not read
    return Response(
        msgspec.json.encode(OpenAIErrorBody(error=_error(found, slug, status))),
        status_code=status,
        headers=out,
        media_type="application/json",
    )


def _error(found: Problem, slug: str, status: int) -> OpenAIError:
    kind = "invalid_request_error" if status < 500 else "server_error"
    if status == 429:
        kind = "rate_limit_error"
    param = _param(found.path) if isinstance(found.path, str) else None
    code: str | None = None if slug in _NO_CODE else slug.replace("-", "_")
    message = found.detail
    if slug == "invalid-request":
        param, code, message = _refused(param, message)
    return OpenAIError(message=message, type=kind, param=param, code=code)


def _param(path: str) -> str | None:
    return path.removeprefix("$").removeprefix("query").removeprefix(".") or None


def _refused(param: str | None, message: str) -> tuple[str | None, str | None, str]:
    """What msgspec refused, in OpenAI's words where it has words for it."""
    for pattern, code, said in _LIMITS:
        if found := re.search(pattern, message):
            return param, code, f"Invalid '{param}': {said.format(found[1])}."
    if found := _MISSING.search(message):
        name = found[1] if param is None else f"{param}.{found[1]}"
        return name, "missing_required_parameter", f"Missing required parameter: '{name}'."
    if found := _ENUM.search(message):
        return param, "invalid_value", f"Invalid value: {found[1]} for '{param}'."
    if found := _TYPE.search(message):
        where = f" for '{param}'" if param else ""
        return param, "invalid_type", f"Invalid type{where}: expected {found[1]}, but got {found[2]} instead."
    return param, "invalid_value", message


OPENAI = Style(answer=_answer, error=OpenAIErrorBody, media_type="application/json", status=error_status, lenient=True)
"""OpenAI's API: its error bodies; and keys that Palaver does not know are no error, as clients send new ones."""
