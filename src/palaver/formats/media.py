"""Images, recordings and files on every wire: what each can reach and show, `data:` addresses, and breadcrumbs."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

import msgspec

from palaver.model import AudioPart, FilePart, ImagePart, Wire

__all__ = [
    "FILES_API",
    "DataUrl",
    "Media",
    "breadcrumb",
    "carried",
    "data_url",
    "file_name",
    "image_type",
    "inline_url",
    "parameters",
]

Media: TypeAlias = ImagePart | AudioPart | FilePart

FILES_API = "generativelanguage.googleapis.com/"
"""Host of Google's Files API: its addresses are file ids, which nobody without the key can fetch."""

_OPENAI: frozenset[Wire] = frozenset({"openai_chat", "openai_responses"})
_FILE_IDS: dict[Wire, frozenset[Wire]] = {
    "anthropic": frozenset({"anthropic"}),
    "bedrock": frozenset(),
    "google": frozenset({"google"}),
    "mistral": frozenset({"mistral"}),
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
}
"""Wires whose file ids a wire knows: those of its own provider. Bedrock has none, but what lies in S3."""
_ASKED: frozenset[Wire] = frozenset({"mistral", *_OPENAI})
"""Wires that take a file id out of a message of no wire. Anthropic takes one only in a request that says so in a header
(docs, "Files API"), which messages of its own had."""

_WEB = ("https", "http")
_SCHEMES: dict[Wire, tuple[str, ...]] = {
    "anthropic": _WEB,
    "bedrock": ("s3",),
    "google": (*_WEB, "gs"),
    "mistral": _WEB,
    "openai_chat": _WEB,
    "openai_responses": _WEB,
}
"""Addresses that a provider fetches itself: Bedrock from S3 only (API reference, `S3Location`), Google from its own
storage too (docs, "File input methods"), the others from the web."""

_EVERYWHERE = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Images that every provider shows: Anthropic's, Bedrock's and OpenAI's lists have these four (`Base64ImageSource`,
`ImageBlock.format`, docs "Images and vision"); none shows SVG, which is no picture but text."""
_IMAGES: dict[Wire, frozenset[str]] = {"google": _EVERYWHERE | {"image/heic", "image/heif"}}

# How the bytes of an image begin, in base64.
_BEGINNINGS = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
_UNSAID = frozenset({"", "application/octet-stream", "image/*"})
_DATA_URL = re.compile(r"data:([^;,]+)((?:;[^;,]+)*);base64,(.*)", re.DOTALL)
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")


class DataUrl(NamedTuple):
    """A `data:` address with bytes in it, taken apart."""

    media_type: str
    parameters: str
    """What stands between type and bytes, for instance `;charset=utf-8`; mostly empty."""
    data: str
    """Base64 text."""


def data_url(url: Any) -> DataUrl | None:
    """The parts of a `data:` address in base64; None for anything else."""
    found = _DATA_URL.fullmatch(url) if isinstance(url, str) and url.startswith("data:") else None
    return DataUrl(found[1], found[2], found[3]) if found else None


def parameters(layout: str | None) -> str:
    """The parameters of a `data:` address that a layout keeps, from its first semicolon on."""
    _, semicolon, rest = (layout or "").partition(";")
    return semicolon + rest


def inline_url(part: ImagePart | FilePart, *, native: bool) -> str | None:
    """The `data:` address that holds a part's bytes; None where there are none, or nobody knows what image they are.

    A native one gets the parameters that it came with.
    """
    if part.data is None:
        return None
    unknown = None if isinstance(part, ImagePart) else "application/octet-stream"
    media_type = part.media_type or image_type(part.data, None) or unknown
    return media_type and f"data:{media_type}{parameters(part.layout) if native else ''};base64,{part.data}"


def image_type(data: str, said: str | None) -> str | None:
    """The media type of an image: what was said, else what its first bytes tell."""
    said = (said or "").strip().lower()
    if said not in _UNSAID:
        return "image/jpeg" if said == "image/jpg" else said
    return next((kind for begin, kind in _BEGINNINGS if data.startswith(begin)), None)


def carried(part: Media, source: Wire | None, wire: Wire) -> Media | None:
    """The part as a wire can have it from another, or from none; None where it can neither reach nor show it.

    Bytes in a `data:` address are taken out of it, an image has its type, where that is known, and of several places
    for the bytes the first that is there stays: bytes, address, file id. `source` is the
    wire of the message; without one, a file id is the application's own, who is taken to mean this provider's.
    """
    said, data = part.media_type, part.data
    inline = data_url(part.url) if data is None else None
    if inline is not None:
        said, data = inline.media_type, inline.data
    url = part.url if data is None and _fetched(part.url, wire) else None
    file_id = part.file_id if data is None and url is None and _known(part.file_id, source, wire) else None
    if data is None and url is None and file_id is None:
        return None
    if isinstance(part, ImagePart):
        said = image_type(data or "", said)
        if (said is None and data is not None) or (said is not None and said not in _IMAGES.get(wire, _EVERYWHERE)):
            return None
    return msgspec.structs.replace(part, media_type=said, data=data, url=url, file_id=file_id)


def _fetched(url: str | None, wire: Wire) -> bool:
    if url is None:
        return False
    found = _SCHEME.match(url)
    if found is None or found[1].lower() not in _SCHEMES[wire]:
        return False
    return wire == "google" or FILES_API not in url[:60]


def _known(file_id: str | None, source: Wire | None, wire: Wire) -> bool:
    if file_id is None or (source is not None and source not in _FILE_IDS[wire]):
        return False
    if wire == "google":  # whose ids are addresses
        return FILES_API in file_id[:60] or file_id.startswith("gs://")
    return (source is not None or wire in _ASKED) and "://" not in file_id


def file_name(part: FilePart) -> str:
    """The name of a file, or one that says what it is: OpenAI demands a name beside bytes."""
    ending = (part.media_type or "").rpartition("/")[2]
    return part.name or f"file.{ending if ending.isalnum() else 'bin'}"


def breadcrumb(part: Media) -> str:
    """Short text in the place of media that cannot be shown; the bytes in a `data:` address are never spelled out."""
    kind = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}[type(part)]
    inline = data_url(part.url)
    what = part.name or part.url or part.media_type
    if what is not None and what.lstrip()[:5].lower() == "data:":
        what = part.media_type or (inline.media_type if inline else None)
    return f"[{kind}: {what}]" if what else f"[{kind}]"
