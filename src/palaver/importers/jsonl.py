"""Lines of JSON, as far as they can be read: damage costs the damaged record and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from palaver.codec import clean_text
from palaver.formats.wire import is_array, is_object

__all__ = ["MESSAGES", "Record", "cleaned", "plain_json", "read_records"]

_BOM = b"\xef\xbb\xbf"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_RECORD = re.compile(r'\{\s*"(?:role|_type|timestamp|content|id|type|uuid|parentUuid|sessionId|leafUuid|isSidechain)"')
"""How a record may begin that was written behind a torn one, on its line."""
MESSAGES = frozenset({"role", "_type"})
"""Of which keys such a record has one: what stands within a record has none of them."""
_TRIES = 200


class Record(msgspec.Struct, frozen=True):
    """What stands on a line, or on a part of it."""

    line: int
    raw: bytes
    value: Any = None
    error: str | None = None
    """Why it cannot be read; then there is no value."""
    repairs: tuple[str, ...] = ()


class _NoJson:
    """NaN and Infinity, which are no JSON, become null."""

    def __init__(self) -> None:
        self.met = False

    def __call__(self, _: str) -> None:
        self.met = True


def read_records(data: bytes, *, marks: frozenset[str] = MESSAGES) -> Iterator[Record]:
    """The records of a file, in order; empty lines are none. On a torn line, what has a key of `marks` is a record."""
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        raw = line.strip()
        if not raw:
            continue
        bare = raw.strip(b"\x00 \t\r")
        if not bare:
            yield Record(number, raw, error="NUL bytes, as a power loss leaves them")
            continue
        repairs = ("NUL bytes around it were left out",) if len(bare) < len(raw) else ()
        yield from _read_line(number, bare, repairs, marks)


def _read_line(number: int, raw: bytes, repairs: tuple[str, ...], marks: frozenset[str]) -> Iterator[Record]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        repairs = (*repairs, "bytes that are no UTF-8 became U+FFFD")
    try:
        value, more = plain_json(text)
    except (ValueError, RecursionError) as exc:
        yield from _salvage(number, text, _reason(exc), repairs, marks)
    else:
        yield Record(number, raw, value, None, (*repairs, *more))


def _salvage(number: int, text: str, reason: str, repairs: tuple[str, ...], marks: frozenset[str]) -> Iterator[Record]:
    """A torn line: what is whole on it. A writer that died left no line end, and the next record stands behind it."""
    place = 0
    whole: list[Record] = []
    torn_from: int | None = None
    for _ in range(_TRIES):
        if place >= len(text):
            break
        found = _whole(text, place, marks)
        if found is None:
            torn_from = place if torn_from is None else torn_from
            begin = _RECORD.search(text, place + 1)
            if begin is None:
                break
            place = begin.start()
            continue
        if torn_from is not None:
            yield Record(number, text[torn_from:place].encode(errors="replace"), error=f"torn: {reason}")
            torn_from = None
        end, value, more = found
        why = "it stood on one line with others"
        whole.append(Record(number, text[place:end].encode(errors="replace"), value, None, (*repairs, *more, why)))
        yield whole[-1]
        place = end
        while place < len(text) and text[place] in " \t\r\x00":
            place += 1
    if torn_from is not None:
        yield Record(number, text[torn_from:].encode(errors="replace"), error=f"no whole JSON: {reason}")


def _whole(text: str, place: int, marks: frozenset[str]) -> tuple[int, Any, tuple[str, ...]] | None:
    """The object that begins here: where it ends, what it says, and what was mended."""
    constants = _NoJson()
    decoder = json.JSONDecoder(parse_constant=constants)
    try:
        value, end = decoder.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    if not is_object(value) or not marks & value.keys():
        return None
    value, repairs = _mended(value, text[place:end], nulled=constants.met)
    return end, value, repairs


def plain_json(text: str) -> tuple[Any, tuple[str, ...]]:
    """The value, and what had to be mended in it. Raises ValueError or RecursionError."""
    if "NaN" not in text and "Infinity" not in text:
        return _mended(json.loads(text), text, nulled=False)
    constants = _NoJson()
    value = json.loads(text, parse_constant=constants)
    return _mended(value, text, nulled=constants.met)


def _mended(value: Any, text: str, *, nulled: bool) -> tuple[Any, tuple[str, ...]]:
    repairs: list[str] = ["NaN or Infinity became null"] if nulled else []
    if _ESCAPED_SURROGATE.search(text):
        clean = cleaned(value)
        if clean != value:
            repairs.append("half a character (a lone surrogate) became U+FFFD")
        value = clean
    return value, tuple(repairs)


def cleaned(value: Any) -> Any:
    """The same without lone surrogates."""
    if isinstance(value, str):
        return clean_text(value)
    if is_array(value):
        return [cleaned(each) for each in value]
    if is_object(value):
        return {clean_text(key): cleaned(each) for key, each in value.items()}
    return value


def _reason(exc: Exception) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg.removesuffix(' at')} at character {exc.pos + 1}"
    return "nested too deep" if isinstance(exc, RecursionError) else str(exc)
