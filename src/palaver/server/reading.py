"""Reading what a request says: its body within a size, its query, and JSON that is not quite JSON."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from palaver.codec import clean_text
from palaver.errors import PalaverError
from palaver.server.headers import first_of
from palaver.server.problems import ProblemError, of_error, problem

__all__ = ["Cleaned", "decode", "decode_query", "is_gone", "read_body", "read_chunks", "require_json", "require_type"]

T = TypeVar("T")

MAX_DEPTH = 200
"""Deepest nesting of a body that is decoded the slow way; as deep as stored metadata may be."""

_IDS = re.compile(r"\.(?:\w+_)?(?:id|id_alt|key|alias|agent|account|platform)$")
_FREE = re.compile(r"\.metadata\b")
_PLACE = re.compile(r" - at (`key` in )?`(.+)`$")
_OTHER_SHAPE = re.compile(
    r"(?:missing required field `kind`|unknown field `(?:type|tool_calls|tool_call_id|function_call|refusal)`)"
    r" - at `\$\.messages?\b|- at `\$\.messages?\b[^`]*\.kind`$"
)
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_SHAPES = (
    'parts have "kind", such as {"kind": "text", "text": "Hi"}; '
    'to send a provider\'s own message, say "wire": "openai_chat" beside it'
)


class Cleaned(msgspec.Struct, frozen=True):
    """Text in the request that held half a character, which no store can keep: U+FFFD stands for it now."""

    path: str
    kind: Literal["lone_surrogate_replaced"] = "lone_surrogate_replaced"


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body, if it has at most `limit` bytes: counted as it comes, whatever its headers promise.

    It has to be there within `seconds`, however many of them each piece takes. Nearly always it came with the head,
    and nothing is waited for: then there is no timer either.
    """
    _require_length(request, limit)
    first = _at_once(request)
    if first is not None and first["type"] == "http.request" and not first.get("more_body", False):
        whole: bytes = first.get("body", b"")
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    size = 0
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _chunks(request, limit, first):
                parts.append(chunk)
                size += len(chunk)
    except TimeoutError as exc:
        detail = f"the body was not there after {seconds:g} seconds; {size} bytes had come"
        raise problem("body-too-slow", detail) from exc
    return b"".join(parts)


def is_gone(request: Request) -> bool:
    """Whether the client has gone away, as far as is known; its body was read before.

    Starlette's own way takes a cancel scope for it, a fifth of the whole request.
    """
    message = _at_once(request)
    return message is not None and message["type"] == "http.disconnect"


def _at_once(request: Request) -> Message | None:
    """The next message, where it is there; else None, and it is there for the next who asks.

    One step of what waits for it: where that does not wait, it has the message.
    """
    waiting: Any = request.receive()
    try:
        waiting.send(None)
    except StopIteration as stop:
        message: Message = stop.value
        return message
    finally:
        waiting.close()
    return None


async def read_chunks(request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The same, bit by bit: all of it may take any time, and none of its pieces more than `seconds`."""
    _require_length(request, limit)
    try:
        async for chunk in _chunks(request, limit, None, seconds):
            yield chunk
    except TimeoutError as exc:
        raise problem("body-too-slow", f"nothing more of the body came for {seconds:g} seconds") from exc


async def _chunks(
    request: Request, limit: int, message: Message | None, seconds: float | None = None
) -> AsyncIterator[bytes]:
    """The body from this message on. Raises ClientDisconnect where it breaks off, TimeoutError where it is late."""
    size = 0
    more = True
    while more:
        if message is None:
            async with asyncio.timeout(seconds):
                message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        message = None
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if chunk:
            yield chunk


def _require_length(request: Request, limit: int) -> None:
    length = first_of(request.scope, b"content-length")
    if length is not None and (not length.isdecimal() or int(length[:20]) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> ProblemError:
    return problem("body-too-large", f"the body has more than {limit} bytes, the most that this server takes")


def require_json(request: Request) -> None:
    """Refuse a body that does not say that it is JSON: web pages may send other types to any server unasked."""
    require_type(request, ("application/json",))


def require_type(request: Request, kinds: Sequence[str]) -> None:
    """Refuse a body that does not say that it is of one of these types, in UTF-8, and as it is (RFC 9110, 8.4)."""
    coding = first_of(request.scope, b"content-encoding")
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        raise problem("unsupported-media-type", f"Content-Encoding is {coding!r}; send the body as it is")
    said = first_of(request.scope, b"content-type") or ""
    if said in kinds:
        return
    kind, _, rest = said.partition(";")
    charset = next(
        (p.partition("=")[2].strip().strip('"') for p in rest.split(";") if p.strip().lower().startswith("charset=")),
        "utf-8",
    )
    if kind.strip().lower() not in kinds or charset.lower() not in {"utf-8", "utf8"}:
        raise problem("unsupported-media-type", f"Content-Type is {said!r}; send {' or '.join(kinds)}, in UTF-8")


def decode(body: bytes, kind: type[T]) -> tuple[T, tuple[Cleaned, ...]]:
    """A body as a struct, and the texts in it that had to be cleaned.

    msgspec refuses the escape of a lone surrogate, which JavaScript's JSON.stringify sends for text that was cut in
    the middle of an emoji: such a body is decoded by the standard library, and mended. Ids are not: two of them
    could become one.
    """
    if not body:
        raise problem("invalid-json", "there is no body; this takes one, of JSON: {} says nothing")
    try:
        return msgspec.json.decode(body, type=kind), ()
    except msgspec.ValidationError as exc:
        raise _refused(exc) from exc
    except RecursionError as exc:
        raise problem("invalid-json", "the body is nested too deep") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        if b"\\ud" not in body.lower():
            raise problem("invalid-json", f"the body cannot be read: {_reason(exc)}") from exc
    cleaned: list[Cleaned] = []
    mended = _mend(_slowly(body), "$", 0, cleaned)
    for each in cleaned:
        if _IDS.search(each.path) and not _FREE.search(each.path):
            raise problem("invalid-request", "an id holds a lone surrogate (half a character)", path=each.path)
    try:
        return msgspec.json.decode(msgspec.json.encode(mended), type=kind), tuple(cleaned)
    except msgspec.ValidationError as exc:
        raise _refused(exc) from exc


def _slowly(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise problem("invalid-json", f"the body cannot be read: {_reason(exc)}") from exc


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        msg = f"the number {text[:40]} is out of range"
        raise ValueError(msg)
    return value


def _mend(value: Any, path: str, depth: int, cleaned: list[Cleaned]) -> Any:
    if depth > MAX_DEPTH:
        raise problem("invalid-json", "the body is nested too deep")
    if isinstance(value, str):
        text = clean_text(value)
        if text is not value:
            cleaned.append(Cleaned(path))
        return text
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, child in value.items():  # pyright: ignore[reportUnknownVariableType]
            name = _mend(key, f"{path} (a key)", depth, cleaned)
            if name in out:
                raise problem("invalid-request", "two keys differ in half a character only", path=path)
            out[name] = _mend(child, f"{path}.{name}", depth + 1, cleaned)
        return out
    if isinstance(value, list):
        return [_mend(child, f"{path}[{i}]", depth + 1, cleaned) for i, child in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def decode_query(request: Request, kind: type[T], *, lenient: bool = False) -> T:
    """The query as a struct. Each parameter may be given once.

    `lenient` is what official clients need: one that is not known is passed over, and a list is its parameter several
    times, also as `name[]`.
    """
    raw: bytes = request.scope.get("query_string", b"")
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=True, errors="strict") if raw else []
    except ValueError as exc:
        raise problem(
            "bad-request", "the query cannot be read: it is name=value pairs, in UTF-8", path="query"
        ) from exc
    given: dict[str, Any] = dict(pairs)
    if lenient:
        given = _lists(pairs, kind)
    elif len(given) < len(pairs):
        raise problem("bad-request", "a query parameter is given twice", path="query")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise _unknown(exc, kind) or _refused(exc, root="query") from exc


def _unknown(exc: msgspec.ValidationError, kind: type[Any]) -> ProblemError | None:
    """For a parameter that there is not: which there are."""
    found = _UNKNOWN.search(str(exc))
    if found is None:
        return None
    names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
    there = f"there are {names}" if names else "this route takes none"
    return problem("invalid-request", f"there is no query parameter `{found[1]}`: {there}", path="query")


def _lists(pairs: list[tuple[str, str]], kind: type[Any]) -> dict[str, Any]:
    """The parameters that a struct knows; those that are lists there, as lists."""
    fields = {field.name: isinstance(field.default, tuple) for field in msgspec.structs.fields(kind)}
    out: dict[str, Any] = {}
    for name, value in pairs:
        bare = name.removesuffix("[]")
        if fields.get(bare):
            out.setdefault(bare, []).append(value)
        elif name in fields:
            out[name] = value
    return out


def _refused(exc: msgspec.ValidationError, root: str = "$") -> ProblemError:
    text = str(exc)
    found = _PLACE.search(text)
    path = (found[2] if found else "$").replace("$", root, 1)
    if found:
        text = text[: found.start()] + (" as a key" if found[1] else "")
    hint = f": {_SHAPES}" if _OTHER_SHAPE.search(str(exc)) else ""
    if isinstance(exc.__cause__, PalaverError):  # an Origin that is none, for instance
        return ProblemError(of_error(exc.__cause__, path=path))
    return problem("invalid-request", f"{text} - at `{path}`{hint}", path=path)


def _reason(exc: Exception) -> str:
    return "it is not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc)
