"""OpenAI Chat Completions, and the providers that speak it with keys of their own (DeepSeek, Groq, OpenRouter).

How this wire's spellings are kept: reasoning is a ThinkingPart (`reasoning_content`, or `reasoning` with that word in
the layout, `both` where it came under both keys), a refusal is text whose extra has `"type": "refusal"`, a legacy
`function_call` is a tool call without an id and role `function` a result without one. `Message.layout` is a set of
words: `absent` (no content key), `list` (content is a list), `reasoning`, `both`. What has no such reading is kept
whole in `extra` under the layout `verbatim <fingerprint>`, and given back for as long as the message says what it said.
Parsing checks itself: a message whose typed form would not come back exactly is kept whole too.

Of other wires, `extra` stays behind unlisted: it tells how that wire spelled things (item ids, cache hints).
A result's `is_error` has no key here; its text has to say it.
"""

from __future__ import annotations

from palaver.formats.openai_chat.parsing import parse
from palaver.formats.openai_chat.spelling import render

__all__ = ["parse", "render"]
