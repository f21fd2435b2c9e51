"""OpenAI Chat Completions, and the providers that speak it with keys of their own (DeepSeek, Groq, OpenRouter).

How this wire's spellings are kept: reasoning is a ThinkingPart (`reasoning_content`, or `reasoning` with that word in
the layout, `both` where it came under both keys), a refusal is text whose extra has `"type": "refusal"`, a legacy
`function_call` is a tool call without an id and role `function` a result without one. `Message.layout` is a set of
words: `absent` (no content key), `list` (content is a list), `reasoning`, `both`. What has no such reading is kept
whole in `extra` under the layout `verbatim <fingerprint>`, and given back for as long as the message says what it said.
Parsing checks itself: a message whose typed form would not come back exactly is kept whole too.

Of other wires, `extra` stays behind unlisted: it tells how that wire spelled things (item ids, cache hints).
A result's `is_error` has no key here: where its text does not say so, it gets the word before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.formats.call_ids import shortened
from palaver.formats.openai_chat import parsing, rendering
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.mending import mend, settle
from palaver.formats.openai_chat.parts import WIRE, parse_part, spell_part
from palaver.formats.openai_chat.rules import MAX_CALL_ID, check
from palaver.formats.openai_chat.streaming import ChatStream
from palaver.formats.wire import Notes, Rendered, Stream
from palaver.model import Message

__all__ = ["check", "parse", "render", "stream"]


def fit_call_id(call_id: str) -> str:
    """The id itself, or one that OpenAI takes: no longer than 64 characters, of any alphabet."""
    return call_id if len(call_id) <= MAX_CALL_ID else shortened(call_id, MAX_CALL_ID)


_DIALECT = Dialect(
    wire=WIRE,
    roles={
        "system": "system",
        "developer": "developer",
        "user": "user",
        "assistant": "assistant",
        "tool": "tool",
        "function": "tool",
    },
    fit_call_id=fit_call_id,
    parse_part=parse_part,
    spell_part=spell_part,
    mend=mend,
    settle=settle,
    legacy=True,
)


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of a request or a response, or of a whole response object with its usage."""
    return parsing.parse(messages, _DIALECT, system=system)


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request. `system` is None: this wire has its system prompt among the messages."""
    return rendering.render(messages, _DIALECT, notes, repair=repair)


def stream() -> Stream:
    """A new accumulator of `chat.completion.chunk` events."""
    return ChatStream(_DIALECT)
