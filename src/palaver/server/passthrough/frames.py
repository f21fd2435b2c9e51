"""Server-sent events, event by event, with the bytes that they came as. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

__all__ = ["Frame", "Frames"]

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")


class Frame(msgspec.Struct, frozen=True):
    """One event: its bytes, with the empty line that ends it, and what they say."""

    raw: bytes

    @property
    def data(self) -> bytes:
        """Its data lines, joined; empty for a comment."""
        lines = self.raw.splitlines()
        return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))

    @property
    def event(self) -> dict[str, Any] | None:
        """Its data, where they are a JSON object."""
        try:
            found = msgspec.json.decode(self.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType] - JSON


class Frames:
    """Puts events together from the chunks that come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that this chunk completes."""
        self._rest += chunk
        begin = 0
        while found := _END.search(self._rest, begin):
            yield Frame(self._rest[begin : found.end()])
            begin = found.end()
        self._rest = self._rest[begin:]

    def finish(self) -> Frame | None:
        """What came after the last empty line; None: nothing."""
        rest, self._rest = self._rest, b""
        return Frame(rest) if rest.strip() else None
