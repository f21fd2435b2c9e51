"""What the first bytes of media say of it: width and height of an image, the byte rate of a recording.

Only those bytes are decoded from base64, whatever the size of the rest. What cannot be read is None, never an error.
"""

from __future__ import annotations

import binascii
from typing import TypeAlias

__all__ = ["Size", "image_size", "wave_rate"]

Size: TypeAlias = tuple[int, int]

_FIRST = 33
_MOST_SEGMENTS = 256
"""A JPEG may have metadata before its dimensions, in segments; more than this and it is not looked for."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(data: str, start: int = 0) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP image, as base64 that begins at `start`."""
    head = _bytes(data, start, 0, _FIRST)
    size: Size | None = None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(head, 16, 4), _big(head, 20, 4)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _little(head, 6, 2), _little(head, 8, 2)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(data, start)
    return size if size is not None and size[0] > 0 and size[1] > 0 else None


def wave_rate(data: str, start: int = 0) -> int | None:
    """Bytes for each second of a WAV recording, as base64 that begins at `start`."""
    head = _bytes(data, start, 0, _FIRST)
    if head.startswith(b"RIFF") and head[8:16] == b"WAVEfmt ":
        return _little(head, 28, 4) or None
    return None


def _bytes(data: str, start: int, offset: int, count: int) -> bytes:
    """`count` bytes from `offset` on, or fewer; base64 has four characters for three bytes."""
    first = offset // 3
    begin = start + first * 4
    text = data[begin : begin + ((offset + count + 2) // 3 - first) * 4]
    try:
        # Without its last, incomplete group; with padding that stands for nothing it would not decode.
        found = binascii.a2b_base64(text[: len(text) // 4 * 4])
    except ValueError:
        return b""
    return found[offset - first * 3 :][:count]


def _big(head: bytes, at: int, count: int) -> int:
    return int.from_bytes(head[at : at + count], "big")


def _little(head: bytes, at: int, count: int) -> int:
    return int.from_bytes(head[at : at + count], "little")


def _webp(head: bytes) -> Size | None:
    """RFC 9649: three ways to begin, each with its own place and width for the two numbers."""
    kind = head[12:16]
    if kind == b"VP8X":
        return _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    if kind == b"VP8L" and head[20:21] == b"\x2f":
        bits = _little(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    return None


def _jpeg(data: str, start: int) -> Size | None:
    """ITU-T T.81: segments, each with a marker and its length, until one that begins a frame."""
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        segment = _bytes(data, start, offset, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker in _FRAMES:
            return _big(segment, 7, 2), _big(segment, 5, 2)
        if marker == 0xFF:  # fill
            offset += 1
        elif marker in _STANDALONE:
            offset += 2
        else:
            offset += 2 + _big(segment, 2, 2)
    return None
