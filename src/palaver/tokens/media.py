"""How many tokens an image, a recording or a file is about.

By what the providers publish, where the content is at hand to tell its size; else a flat figure. Sources, read in 2026:

- OpenAI, "Images and vision", cost of tiles: fit into 2048 x 2048, then the short side to 768; 85 and 170 for each tile
  of 512 x 512; 85 at low detail. (Newer models count patches of 32 x 32, with a factor for each model.)
- Anthropic, "Vision": width x height / 750, after fitting the long edge into 1568 and the whole into 1,600 tokens.
- Google, "Understand and count tokens": 258 where both sides are at most 384, else 258 for each tile of 768 x 768;
  32 for each second of audio, 263 for each second of video; and "Document understanding": 258 for each page of a PDF.
- Anthropic, "PDF support": 1,500 to 3,000 for each page.
- OpenAI, "Managing costs" of Realtime: audio of a user is a token for each 100 ms.

Seconds and pages are not written in most files: they are guessed from the number of bytes.
"""

from __future__ import annotations

from math import ceil

from palaver.model import AudioPart, FilePart, ImagePart
from palaver.tokens.headers import image_size, wave_rate

__all__ = ["media_tokens"]

_GOOGLE = frozenset({"google"})
_OPENAI = frozenset({"openai_chat", "openai_responses"})
_AUDIO_BYTES = 16_000
"""Bytes for each second of a recording: MP3 of 128 kbit/s."""
_PCM_BYTES = 48_000
"""The same of 16-bit samples at 24 kHz without a header."""
_VIDEO_BYTES = 250_000
_PAGE_BYTES = 50_000
_PAGE_TOKENS = 2000
_GOOGLE_UNIT = 258
_TEXTS = ("application/json", "application/xml", "application/x-yaml", "application/javascript")


def media_tokens(part: ImagePart | AudioPart | FilePart, wire: str | None, unknown: int) -> int:
    """About how many tokens a part is for a provider, named by its wire; by no wire an average of them.

    `unknown` where nothing is known of its size: a link, a provider's file, content out of line.
    """
    data, start, kind = _content(part)
    if isinstance(part, ImagePart):
        size = image_size(data, start) if data else None
        if wire in _OPENAI and _is_low(part):
            return 85
        return unknown if size is None else _image(*size, wire)
    count = _blob_size(part) if part.blob is not None else max(0, len(data) - start) * 3 // 4
    if count <= 0:
        return unknown
    if isinstance(part, AudioPart):
        rate = (wave_rate(data, start) if data else None) or (_PCM_BYTES if "pcm" in kind else _AUDIO_BYTES)
        return ceil(count * (32 if wire in _GOOGLE else 10) / rate)
    if kind.startswith("text/") or kind in _TEXTS:
        return (count + 3) // 4
    if kind.startswith("video/"):
        return ceil(count * 263 / _VIDEO_BYTES)
    if kind == "application/pdf":
        return ceil(count / _PAGE_BYTES) * (_GOOGLE_UNIT if wire in _GOOGLE else _PAGE_TOKENS)
    return unknown


def _content(part: ImagePart | AudioPart | FilePart) -> tuple[str, int, str]:
    """Where the base64 begins in which text, and the media type; no text where the content is elsewhere."""
    kind = (part.media_type or "").lower()
    if part.data is not None:
        return part.data, 0, kind
    if part.url is not None and part.url[:5].lower() == "data:":
        comma = part.url.find(",")
        declared = part.url[5:comma].lower() if comma > 0 else ""
        if declared.endswith(";base64"):
            return part.url, comma + 1, kind or declared.partition(";")[0]
    return "", 0, kind


def _blob_size(part: ImagePart | AudioPart | FilePart) -> int:
    count = (part.blob or "").rpartition("-")[2]
    return int(count) if count.isdecimal() and count.isascii() and len(count) <= 18 else 0


def _is_low(part: ImagePart) -> bool:
    return part.extra is not None and '"detail":"low"' in part.extra.replace(" ", "")


def _image(width: int, height: int, wire: str | None) -> int:
    if wire in _GOOGLE:
        if max(width, height) <= 384:
            return _GOOGLE_UNIT
        return ceil(width / 768) * ceil(height / 768) * _GOOGLE_UNIT
    if wire in _OPENAI:
        scale = min(1.0, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        return 85 + 170 * ceil(round(width * scale) / 512 or 1) * ceil(round(height * scale) / 512 or 1)
    scale = min(1.0, 1568 / max(width, height))
    return max(1, min(1600, ceil(width * height * scale * scale / 750)))
