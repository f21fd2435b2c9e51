"""Images, recordings and files: `inlineData` and `fileData` parts, read and spelled."""

from __future__ import annotations

from typing import Any

from palaver.formats.google.keys import Taken, words_of
from palaver.formats.media import FILES_API, Media, breadcrumb, carried, image_type
from palaver.model import AudioPart, FilePart, ImagePart

__all__ = ["Media", "breadcrumb", "read_media", "spell_media"]

_PDF = "JVBERi0"
"""How a PDF begins, in base64."""
_SUFFIXES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
_URL_SAFE = str.maketrans("+/", "-_")
_STANDARD = str.maketrans("-_", "+/")


def read_media(camel: str, inner: dict[str, Any]) -> tuple[Media, Taken] | None:
    """The media in a part's `inlineData` or `fileData`, and what that object has beside.

    None where there is nothing that could be shown elsewhere.
    """
    words: list[str] = []
    taken = Taken(inner, words)
    media_type = taken.text("mimeType")
    kind = (media_type or "").partition("/")[0]
    make: type[Media] = ImagePart if kind == "image" else AudioPart if kind == "audio" else FilePart
    name = taken.text("displayName")
    if camel == "inlineData":
        data = taken.text("data")
        if data is None:
            return None
        return make(media_type=media_type, data=_standard(data, words), name=name), taken
    uri = taken.text("fileUri")
    if uri is None:
        return None
    if uri.startswith(("https://", "http://")) and FILES_API not in uri[:60]:
        return make(media_type=media_type, url=uri, name=name), taken
    return make(media_type=media_type, file_id=uri, name=name), taken


def _standard(data: str, words: list[str]) -> str:
    """Base64 in the alphabet that everybody reads; the SDK writes the one for addresses."""
    plain = data
    if "-" in data or "_" in data:
        plain = data.translate(_STANDARD)
        if plain.translate(_URL_SAFE) != data:
            return data
        words.append("url64")
    if len(plain) % 4 in (2, 3) and not plain.endswith("="):
        words.append("unpadded")
        plain += "=" * (-len(plain) % 4)
    return plain


def spell_media(part: Media, *, native: bool) -> tuple[str, dict[str, Any]] | None:
    """The key and the object that say this media, the key in camelCase; None where this wire cannot say it."""
    words = words_of(part.layout) if native else []
    found = part if native else carried(part, None, "google")  # what other wires call a file is known by its address
    if found is None:
        return None
    media_type, data = found.media_type, found.data
    if data is not None:
        if not native and not media_type:
            media_type = "application/pdf" if data.startswith(_PDF) else image_type(data, None)
            if media_type is None:
                return None
        if "unpadded" in words:
            data = data.rstrip("=")
        if "url64" in words:
            data = data.translate(_URL_SAFE)
        camel, out = "inlineData", {"mimeType": media_type, "data": data}
    else:
        uri = found.url or found.file_id
        if uri is None:
            return None
        if not native and not media_type:
            media_type = _SUFFIXES.get(uri.rpartition(".")[2].lower())
        camel, out = "fileData", {"mimeType": media_type, "fileUri": uri}
    if not media_type:
        del out["mimeType"]
    if native and part.name:
        out["displayName"] = part.name
    return camel, out
