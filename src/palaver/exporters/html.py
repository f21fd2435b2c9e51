"""A conversation as one HTML page, for reading: no script, nothing fetched, light or dark as the reader's screen is.

Everything stored is escaped, and stands in text or in attributes with quotes; a content security policy forbids what
should never be there anyway. Images that are shown are raster images, by their first bytes, inside the page.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator, Mapping

from palaver.exporters.entries import Entry, Item
from palaver.exporters.wording import facts, head, media_line, title
from palaver.info import SessionInfo
from palaver.media import as_text
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ThinkingPart, ToolCall

__all__ = ["page"]

# What HTML cannot hold (https://html.spec.whatwg.org/#preprocessing-the-input-stream), and what reorders text.
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_RASTER = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fbfbfa;--card:#fff;--line:#dcdcd8;--dim:#63666b;--user:#eaf2fd}
@media(prefers-color-scheme:dark){
:root{--ink:#e4e5e7;--paper:#17181a;--card:#202225;--line:#3a3d42;--dim:#a0a4aa;--user:#1d2c40}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:52rem;padding:1.5rem 1rem 4rem;font:1rem/1.55 system-ui,sans-serif;color:var(--ink);
background:var(--paper)}
h1{font-size:1.4rem;line-height:1.25;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0 0 2rem;color:var(--dim);font-size:.85rem}
dd{margin:0;overflow-wrap:anywhere}
article{margin:.8rem 0;padding:.7rem 1rem;border:1px solid var(--line);border-radius:.5rem;background:var(--card)}
article.user{background:var(--user)}
article.undone{opacity:.65;border-style:dashed}
header{display:flex;flex-wrap:wrap;gap:0 .8rem;font-size:.85rem;color:var(--dim)}
header b{color:var(--ink)}
.text,pre{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;margin:.4rem 0}
pre{font:.85rem/1.45 ui-monospace,monospace;max-height:30rem;overflow:auto}
details{margin:.4rem 0;border-left:3px solid var(--line);padding-left:.8rem}
summary{cursor:pointer;color:var(--dim);font-size:.9rem;overflow-wrap:anywhere}
img{max-width:100%;height:auto;border-radius:.3rem}
.note{color:var(--dim);font-style:italic;overflow-wrap:anywhere}
@media print{article{break-inside:avoid}pre{max-height:none}}
"""


def page(info: SessionInfo, items: Iterable[Item]) -> Iterator[str]:
    """The page, piece by piece."""
    name = _escaped(title(info))
    yield (
        '<!DOCTYPE html>\n<html lang="und">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n<dl>\n"
    )
    yield from (f"<dt>{term}</dt><dd>{_escaped(value)}</dd>\n" for term, value in facts(info).items())
    yield "</dl>\n"
    for item in items:
        if isinstance(item, Entry):
            yield from _article(item)
        else:
            yield f'<article><p class="note">Message #{item.seq} cannot be decoded.</p></article>\n'
    yield "</main>\n</body>\n</html>\n"


def _article(entry: Entry) -> Iterator[str]:
    message = entry.message
    who, about = head(message, live=entry.live)
    kinds = f"{message.role}{'' if entry.live else ' undone'}"
    yield f'<article class="{_escaped(kinds)}" id="m{message.seq}">\n<header><b>{_escaped(who)}</b>'
    yield "".join(f"<span>{_escaped(word)}</span>" for word in about)
    yield "</header>\n"
    yield from _said(message, entry.media)
    for version in entry.versions:
        yield "<details><summary>Before it was edited</summary>\n"
        yield from _said(version, entry.media)
        yield "</details>\n"
    if entry.lost_versions:
        yield f'<p class="note">Earlier versions that cannot be decoded: {entry.lost_versions}</p>\n'
    yield "</article>\n"


def _said(message: Message, media: Mapping[str, bytes]) -> Iterator[str]:
    for part in message.parts:
        yield _part(part, media)


def _part(part: Part, media: Mapping[str, bytes]) -> str:
    if isinstance(part, TextPart):
        return f'<div class="text" dir="auto">{_escaped(part.text)}</div>\n'
    if isinstance(part, ThinkingPart):
        if not part.text:
            return '<p class="note">Reasoning that cannot be read.</p>\n'
        return _folded("Reasoning", f'<div class="text" dir="auto">{_escaped(part.text)}</div>')
    if isinstance(part, ToolCall):
        return _folded(f"Calls {_words(part.name, part.call_id)}", f"<pre>{_escaped(part.arguments)}</pre>")
    if isinstance(part, ImagePart):
        return _image(part, media)
    if isinstance(part, (AudioPart, FilePart)):
        return f'<p class="note">{_escaped(media_line(part))}</p>\n'
    if isinstance(part, Opaque):
        return _folded(f"An item of {part.wire}", f"<pre>{_escaped(part.data)}</pre>")
    what = "Error" if part.is_error else "Result"
    inner = "".join(_part(each, media) for each in part.parts)
    return _folded(f"{what} {_words(part.name or '', part.call_id)}", inner)


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{_escaped(title)}</summary>\n{inner}</details>\n"


def _words(name: str, call_id: str) -> str:
    return f"{name} ({call_id})" if call_id else name


def _image(part: ImagePart, media: Mapping[str, bytes]) -> str:
    line = _escaped(media_line(part))
    data = media.get(part.blob) if part.blob is not None else _decoded(part.data)
    kind = _raster(data) if data is not None else None
    if data is None or kind is None:
        return f'<p class="note">{line}</p>\n'
    return f'<p><img src="data:{kind};base64,{as_text(data)}" alt="{line}" loading="lazy"></p>\n'


def _decoded(data: str | None) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True) if data is not None else None
    except (binascii.Error, ValueError):
        return None


def _raster(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _RASTER if data.startswith(begin)), None)


def _escaped(text: str) -> str:
    return html.escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n")))
