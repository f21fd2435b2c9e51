"""Text that somebody stored, as HTML that can do nothing: no tags of its own, no scripts, nothing fetched, no styles.

Everything stored is hostile until it went through here. Markdown is rendered without HTML; links go to http, https and
mailto alone; an image that a text names is a link, for a page that shows it would tell its server who reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

__all__ = ["LONGEST", "MOST", "clipped", "marked", "prose", "shown", "tidied"]

LONGEST = 20_000
"""Characters of a text that are read as Markdown; a longer one is shown as it is, since its layout costs too much."""

MOST = 100_000
"""Characters of one text that a page shows; an export has all."""

# What HTML cannot hold (https://html.spec.whatwg.org/#preprocessing-the-input-stream), and what reorders text.
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LAYOUT = re.compile(r"[*_`#\[|~\\>=+<&-]|^\s*\d+[.)]\s|^(?: {4}|\t)|://", re.MULTILINE)
"""What Markdown may make something of; most messages have none of it, and need no parser."""
_BREAKS = re.compile(r"\n{2,}")
_SCHEMES = frozenset({"http", "https", "mailto"})
_LINK = {"rel": "noopener noreferrer nofollow"}


def shown(text: str) -> str:
    """The text, with a mark in the place of each character that no page should hold."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))


def prose(text: str) -> Markup:
    """What a person or a model wrote, laid out as its Markdown says."""
    text = shown(clipped(text))
    if len(text) > LONGEST:
        return Markup('<div class="plain">{}</div>').format(text)
    if not _LAYOUT.search(text):
        paragraphs = (Markup("<br>").join(part.split("\n")) for part in _BREAKS.split(text.strip("\n")))
        return Markup("").join(Markup("<p>{}</p>").format(each) for each in paragraphs)
    return Markup(_markdown.render(text))  # noqa: S704 - html is off in this renderer, and what it renders escaped


def marked(text: str, spans: Sequence[tuple[int, int]]) -> Markup:
    """Text with stretches of it highlighted; `spans` are disjoint and in order."""
    out: list[Markup] = []
    at = 0
    for begin, end in spans:
        out += [escape(shown(text[at:begin])), Markup("<mark>{}</mark>").format(shown(text[begin:end]))]
        at = end
    out.append(escape(shown(text[at:])))
    return Markup("").join(out)


def clipped(text: str) -> str:
    """Text as far as a page shows it, and how much more there is."""
    return text if len(text) <= MOST else f"{text[:MOST]}\n… {len(text) - MOST:,} more characters, in the export"


def tidied(text: str) -> str:
    """JSON with lines and indents, where it is JSON; other text as it is; of a very long one the beginning."""
    if len(text) > MOST:
        return clipped(text)
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, (dict, list)) or not value:
        return text
    return clipped(json.dumps(value, ensure_ascii=False, indent=2))


def _is_link(url: str) -> bool:
    try:
        return urlsplit(url).scheme.lower() in _SCHEMES
    except ValueError:
        return False


class _Renderer(RendererHTML):
    """HTML without styles and without images."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A link in the place of an image."""
        token = tokens[idx]
        inner = self.renderInlineAsText(token.children or [], options, env) or "image"
        rel = _LINK["rel"]
        return str(Markup('<a href="{}" rel="{}">\N{FRAME WITH PICTURE} {}</a>').format(token.attrs["src"], rel, inner))

    def renderToken(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:  # noqa: N802 - its name
        """A tag; the alignment of a column is a class, as the page's policy allows no style."""
        token = tokens[idx]
        style = token.attrs.pop("style", None)
        if isinstance(style, str):
            token.attrs["class"] = style.replace("text-align:", "to-")
        if token.type == "link_open":
            token.attrs.update(_LINK)
        return super().renderToken(tokens, idx, options, env)


def _made() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20}, renderer_cls=_Renderer)
    made.enable(["table", "strikethrough"])
    made.validateLink = _is_link  # type: ignore[method-assign] # how the library says which links it takes
    return made


_markdown = _made()
