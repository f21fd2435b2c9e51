"""Google generateContent (Gemini API and Vertex AI): contents of parts.

How this wire's spellings are kept. A content of the model is one assistant message; a content of the user is one user
message, or, with results in it, a tool message and a user message that joins it (layout `at 0 2`: its parts stood at
these places, where they did not come last). Contents of the model that follow one with calls join it, as the service
reads them as one turn (layout `own`: a content of its own). `Message.layout` further: `function`, `tool`, `no-role`
(absent, empty or null, which is in `extra`), `absent` (no list of parts); of a system instruction `apart`, with
`string`, `list`, `part` or `absent`.

A part's layout lists the keys that came in snake_case, then `bare` (a signature without anything), `url64` and
`unpadded` (how base64 was written); of results `json` (the response is an object, the text is its JSON), `result`,
`return_value`, `content`, `error` (the key that the text stood under), `blocks` (a list of texts), `absent` (no
response), `no-id` (the call has an id and the result came without it).
A thought is a ThinkingPart with its signature; the signature of any other part is in its `extra`. What the service runs
itself (executableCode, toolCall, …) is Opaque, and so is every part that would not come back exactly.
"""

from __future__ import annotations

from palaver.formats.google.parsing import parse
from palaver.formats.google.rules import check
from palaver.formats.google.spelling import render
from palaver.formats.google.streaming import GoogleStream

__all__ = ["check", "parse", "render", "stream"]


def stream() -> GoogleStream:
    """What puts the chunks of one streamed answer together."""
    return GoogleStream()
