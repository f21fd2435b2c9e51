"""Amazon Bedrock Converse.

How this wire's spellings are kept: text, reasoning, calls, results, images, documents, audio and video are typed; what
the service ran itself, cache points, guard content and blocks newer than this are Opaque. A user message with results
and other blocks is several messages joined to one another. `Message.layout` is a set of words: `apart` (the system
prompt), `absent` (content is no list; the odd value is in extra), `response` (a whole response: what stands beside its
message is kept in extra and not sent back). A part's layout is `json` for a result's JSON, `absent` for a result
without content, `text` for a document that is plain text, `citations` and `search_result` for quoted text.
"""

from __future__ import annotations

from palaver.formats.bedrock.parsing import parse, payload
from palaver.formats.bedrock.rules import check
from palaver.formats.bedrock.spelling import render
from palaver.formats.bedrock.stream import stream

__all__ = ["check", "parse", "payload", "render", "stream"]
