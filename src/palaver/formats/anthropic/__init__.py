"""Anthropic Messages.

How this wire's spellings are kept: text, thinking, calls, results, images and documents are typed; what a server ran
itself, compactions, uploads and blocks newer than this are Opaque. Calls are typed in the assistant's messages only and
results in the user's. A user message with results and other blocks is several messages joined to one another.
`Message.layout` is a set of words: `string` (content is a string), `absent` (it is neither string nor list; the odd
value is in extra), `apart` (the system prompt), `own` (a message of its own though it joins the one before it, which
calls), `response` (a whole response object: what stands beside its content is kept in extra and not sent back).
A part's layout is `string` or `absent` for the content of a result, `text` for a document that is plain text,
`search_result` for a search result of one text.
"""

from __future__ import annotations

from palaver.formats.anthropic.parsing import parse
from palaver.formats.anthropic.rules import check
from palaver.formats.anthropic.spelling import render
from palaver.formats.anthropic.stream import stream

__all__ = ["check", "parse", "render", "stream"]
