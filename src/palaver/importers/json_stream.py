"""The elements of a JSON array, one at a time: a file of many conversations needs the memory of the largest.

What is damaged costs the element that it is in, and of that what stands behind the damage.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.jsonl import cleaned

__all__ = ["MOST", "Element", "Readable", "elements"]

MOST = 256 * 1024 * 1024
"""Longest element, in characters: a longer one is no conversation, and memory has an end."""
_CHUNK = 1024 * 1024
_SPACE = " \t\r\n\ufeff"
_NEXT = re.compile(r',\s*(?=\{\s*")')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|"|[{}\[\],]', re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_EDGE = 64
"""An error so near the end of what was read is none yet: a word, a number or an escape may go on."""


class Readable(Protocol):
    """A file of bytes, or what reads one out of an archive."""

    def read(self, n: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class Element(msgspec.Struct, frozen=True):
    """One element of the array."""

    number: int
    """From 1."""
    value: Any = None
    error: str | None = None
    """What is wrong with it. There may be a value all the same: what stood before the damage."""
    repairs: tuple[str, ...] = ()
    head: bytes = b""
    """How it begins."""


def elements(file: Readable, wanted: Callable[[Any], bool]) -> Iterator[Element]:
    """The elements of the array that a file is, in order; an object is one element, or is an array under a key.

    `wanted` knows an element by its value: behind damage, what it does not know is a part of the damaged one. Raises
    OSError.
    """
    return _Stream(file, wanted).read()


class _Stream:
    def __init__(self, file: Readable, wanted: Callable[[Any], bool]) -> None:
        self.file = file
        self.wanted = wanted
        # Bytes that are no UTF-8 become lone surrogates here, which the file itself cannot hold; see `_value`.
        self.decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.json = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
        self.text = ""
        self.ended = False
        self.number = 0

    def more(self, size: int = _CHUNK) -> bool:
        """Read on; whether there was more."""
        if self.ended:
            return False
        data = self.file.read(size)
        self.ended = not data
        self.text += self.decoder.decode(data, self.ended)
        return bool(data)

    def skip(self, place: int, what: str) -> int:
        """The first place from here on that is none of these characters."""
        while True:
            while place < len(self.text) and self.text[place] in what:
                place += 1
            if place < len(self.text) or not self.more():
                return place

    def read(self) -> Iterator[Element]:
        place = self.skip(0, _SPACE)
        if self.text[place : place + 1] != "[":
            yield from self.alone(place)
            return
        begin: int | None = place + 1
        while begin is not None:
            place = self.skip(begin, _SPACE + ",")
            if place >= len(self.text) or self.text[place] == "]":
                return
            self.text, place = self.text[place:], 0
            self.number += 1
            begin = yield from self.element()

    def alone(self, place: int) -> Iterator[Element]:
        """A file that is no array: one conversation, or an object with all of them."""
        self.text = self.text[place:]
        self.number = 1
        for found in self.element():
            value: Any = found.value
            inner = value.get("conversations") if is_object(value) else None
            if not is_array(inner):
                yield found
                continue
            for number, each in enumerate(inner, 1):
                yield Element(number, each, None, found.repairs)
            if found.error is not None:
                yield Element(len(inner) + 1, None, found.error, (), found.head)

    def element(self) -> Generator[Element, None, int | None]:
        """The element that the text begins with. Returns where the next one may begin; None: there is none."""
        found = self.decoded(0)
        if isinstance(found, tuple):
            value, end = found
            yield self.made(value, self.text[:end])
            return end
        reason, broken = found.reason, found.place
        whole = self.text[:broken]
        after = self.next_wanted(broken)
        yield self.salvaged(whole, reason)
        return after

    def decoded(self, place: int) -> tuple[Any, int] | _Broken:
        """The value that begins here and where it ends; or what is wrong, and where."""
        while True:
            try:
                return self.json.raw_decode(self.text, place)
            except json.JSONDecodeError as exc:
                open_ended = exc.msg.startswith("Unterminated string") or exc.pos > len(self.text) - _EDGE
                size = len(self.text) - place
                if not open_ended or size > MOST or not self.more(max(_CHUNK, size)):
                    broken = min(exc.pos, len(self.text))
                    reason = f"longer than {MOST} characters" if size > MOST else exc.msg.removesuffix(" at")
                    return _Broken(reason, broken)
            except RecursionError:
                return _Broken("nested too deep", place + 1)

    def next_wanted(self, place: int) -> int | None:
        """Where, behind damage, an element begins that is known to be one."""
        while True:
            text = self.text
            for found in _NEXT.finditer(text, place):
                value = self.decoded(found.end())
                if isinstance(value, tuple) and self.wanted(value[0]):
                    return found.end()
                place = found.end()
            place = max(place, len(text) - _EDGE)
            if len(self.text) == len(text):  # else there is more, which was read to see where something ends
                self.text, place = text[place:], 0
                if not self.more():
                    return None

    def made(self, value: Any, text: str) -> Element:
        value, repairs = _value(value, text)
        return Element(self.number, value, None, repairs, text[:80].encode(errors="replace"))

    def salvaged(self, text: str, reason: str) -> Element:
        """What is whole of a damaged element."""
        head = text[:80].encode(errors="replace")
        closed = _closed(text)
        if closed is not None:
            try:
                value, repairs = _value(self.json.decode(closed), closed)
            except (ValueError, RecursionError):
                closed = None
            else:
                return Element(self.number, value, reason, repairs, head)
        return Element(self.number, None, reason, (), head)


class _Broken(msgspec.Struct, frozen=True):
    """Why no value could be read, and where in the text that is."""

    reason: str
    place: int


def _value(value: Any, text: str) -> tuple[Any, tuple[str, ...]]:
    """The value without half characters, and what was mended."""
    repairs: list[str] = []
    if not text.isascii() and _LONE.search(text):
        repairs.append("bytes that are no UTF-8 became U+FFFD")
    if repairs or _ESCAPED.search(text):
        clean = cleaned(value)
        if clean != value and not repairs:
            repairs.append("half a character (a lone surrogate) became U+FFFD")
        value = clean
    return value, tuple(repairs)


def _closed(text: str) -> str | None:
    """The text up to the last value that is whole, with what is open closed behind it."""
    open_ones: list[str] = []
    end: int | None = None
    closers = ""
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark == '"':  # a text that does not end
            break
        if mark in "{[":
            open_ones.append("}" if mark == "{" else "]")
        elif mark in "}]":
            if not open_ones or open_ones.pop() != mark:
                break
        elif mark == "," and open_ones:
            end, closers = token.start(), "".join(reversed(open_ones))
    return None if end is None else text[:end] + closers
