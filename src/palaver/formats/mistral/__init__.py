"""Mistral's chat completions, in what differs from OpenAI's (`palaver.formats.openai_chat`, whose code it shares).

Content is text or a list of chunks. Thinking is a chunk among the others, and so a ThinkingPart in its place
(`thinking` as text: that part's layout is `string`; several chunks in it: they are in its `extra`); an image URL
without an object around it has the layout `string` too. References are Opaque. Call ids are nine letters and digits:
other ids become nine that are made of their digest, always the same, and `Rendered.call_ids` leads back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from palaver.formats.mistral.mending import mend, settle
from palaver.formats.mistral.parts import WIRE, parse_part, spell_part
from palaver.formats.mistral.rules import CALL_ID, check
from palaver.formats.openai_chat import parsing, rendering
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.streaming import ChatStream
from palaver.formats.wire import Notes, Rendered, Stream
from palaver.model import Message

__all__ = ["check", "parse", "render", "stream"]

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def fit_call_id(call_id: str) -> str:
    """The id itself where it is nine letters and digits; else nine that its digest decides: 62 to the 9th of them."""
    if len(call_id) == 9 and CALL_ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode(errors="surrogatepass")).digest()[:16])
    out = ""
    for _ in range(9):
        number, place = divmod(number, len(_LETTERS))
        out += _LETTERS[place]
    return out


_DIALECT = Dialect(
    wire=WIRE,
    roles={"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
    fit_call_id=fit_call_id,
    parse_part=parse_part,
    spell_part=spell_part,
    mend=mend,
    settle=settle,
    inner_reasoning=True,
)


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of a request or a response, or of a whole response object with its usage."""
    return parsing.parse(messages, _DIALECT, system=system)


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request. `system` is None: this wire has its system prompt among the messages."""
    return rendering.render(messages, _DIALECT, notes, repair=repair)


def stream() -> Stream:
    """A new accumulator of chunks: the `CompletionEvent` of the SDK, or its `data`."""
    return ChatStream(_DIALECT)
