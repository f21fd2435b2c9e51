"""Files that a source names beside the text of a message: what they are, without looking at them."""

from __future__ import annotations

import mimetypes
import re

from palaver.model import AudioPart, FilePart, ImagePart, Part

__all__ = ["attached"]

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*);base64,([A-Za-z0-9+/]+={0,2})\Z")


def attached(reference: str, *, media_type: str | None = None, name: str | None = None) -> Part:
    """The part for a file: `reference` is a path or a name, a link, or a `data:` URL, whose content is kept.

    What is neither a link nor content is kept by name: its bytes are not in the source's store.
    """
    content = _DATA.match(reference) if reference.startswith("data:") else None
    link = reference if reference.startswith(("https://", "http://")) else None
    if content is not None:
        kind = content[1] or media_type
        return _made(kind)(data=content[3], media_type=kind, name=name)
    kind = media_type or mimetypes.guess_type(name or reference, strict=False)[0]
    if link is not None:
        return _made(kind)(url=link, media_type=kind, name=name)
    return _made(kind)(name=name or reference, media_type=kind)


def _made(kind: str | None) -> type[ImagePart | AudioPart | FilePart]:
    family = (kind or "").partition("/")[0]
    return ImagePart if family == "image" else AudioPart if family == "audio" else FilePart
