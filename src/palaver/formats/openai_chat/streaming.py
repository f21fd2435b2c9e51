"""Streams of `chat.completion.chunk` events, put together to the message that the whole answer would have held.

One request gives one message (of several choices, the first). It is finished with the stream and not with its
`finish_reason`: what it used comes after that, in a chunk without choices (OpenAI with `include_usage`).
"""

from __future__ import annotations

import json
from typing import Any

from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.parsing import parse_plain
from palaver.formats.openai_chat.pieces import Call, grow, is_whole, joined_content, joined_details, whole
from palaver.formats.openai_chat.usage import usage_of
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage

__all__ = ["ChatStream"]

_TEXTS = ("refusal", "reasoning", "reasoning_content")
"""Keys of a delta, beside the content, whose text comes in pieces."""
_OBJECTS = ("audio", "function_call")
"""Keys whose object comes in pieces."""


class ChatStream:
    """A `palaver.formats.wire.Stream` for the wires that stream like OpenAI."""

    __slots__ = (
        "_calls",
        "_content",
        "_dialect",
        "_ended",
        "_model",
        "_objects",
        "_raw",
        "_text",
        "_texts",
        "error",
        "stop_reason",
        "usage",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.usage: Usage | None = None
        self.error: str | None = None
        self.stop_reason: str | None = None
        self._dialect = dialect
        self._raw: dict[str, Any] = {}
        """Keys that come whole, and those that are null so far."""
        self._content: list[Any] = []
        self._texts: dict[str, list[str]] = {}
        self._objects: dict[str, dict[str, Any]] = {}
        self._calls: list[Call] = []
        self._text: list[str] = []
        self._ended = False
        """Whether the model finished, so that every call is whole."""
        self._model: Any = None

    @property
    def text(self) -> str:
        """The text for the person, so far: the answer, or the refusal."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one chunk; the message is given by `finish`."""
        if "choices" not in event and is_object(event.get("data")):
            event = event["data"]  # Mistral's SDK has the chunk in an event of its own
        self._model = event.get("model") or self._model
        self._note(event)
        groq = event.get("x_groq")
        if is_object(groq):
            self._note(groq)
        choices: list[Any] = event["choices"] if is_array(event.get("choices")) else []
        for choice in choices:
            if is_object(choice) and choice.get("index") in (None, 0):
                self._take(choice)
        return []

    def finish(self) -> list[Message]:
        """The message, if there is any. Calls of a stream that broke off are kept where their arguments are whole."""
        ended = self._ended and self.error is None
        raw: dict[str, Any] = {"role": "assistant", "content": None, **self._raw}
        if self._content:
            raw["content"] = joined_content(self._content)
        for key, pieces in self._texts.items():
            raw[key] = "".join(pieces)
        for key, grown in self._objects.items():
            found = whole(grown)
            if ended or key != "function_call" or is_whole(found):
                raw[key] = found
        calls = [call.spelled() for call in self._calls]
        calls = [call for call in calls if ended or is_whole(call.get("function"))]
        if calls:
            raw["tool_calls"] = calls
        if is_array(raw.get("reasoning_details")):
            raw["reasoning_details"] = joined_details(raw["reasoning_details"])
        if not any(value for key, value in raw.items() if key != "role"):
            return []
        message = parse_plain(raw, "the streamed message", self._dialect)
        return [message if self.usage is None else message.replace(usage=self.usage)]

    def _take(self, choice: dict[str, Any]) -> None:
        self._note(choice)  # Moonshot has its usage here, OpenRouter an error
        delta = choice.get("delta")
        if is_object(delta):
            for key, value in delta.items():
                self._add(key, value)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and reason != "error":  # OpenRouter's word for a stream that broke off
            self._ended = True
            self.stop_reason = reason

    def _note(self, event: dict[str, Any]) -> None:
        """What an event says about the call itself: what it used, and that it failed."""
        used = usage_of(event.get("usage"), self._model)
        if used is not None:
            self.usage = used
        found = event if event.get("object") == "error" else event.get("error")
        if is_object(found):
            said = found.get("message")
            self.error = said if isinstance(said, str) and said else json.dumps(found)
        elif found:
            self.error = str(found)

    def _add(self, key: str, value: Any) -> None:
        """Take one key of a delta."""
        if value is None:
            self._raw.setdefault(key, None)
        elif key == "role":
            return
        elif key == "tool_calls":
            for piece in value if is_array(value) else ():
                if is_object(piece):
                    self._call(piece)
        elif key == "content":
            self._say(value)
        elif key in _TEXTS and isinstance(value, str):
            self._texts.setdefault(key, []).append(value)
            if key == "refusal":
                self._text.append(value)
        elif key in _OBJECTS and is_object(value):
            grow(self._objects.setdefault(key, {}), value)
        elif is_array(value) and is_array(self._raw.get(key)):
            self._raw[key].extend(value)
        else:
            self._raw[key] = list(value) if is_array(value) else value

    def _say(self, value: Any) -> None:
        """Content: text, or the chunks that Mistral streams when it thinks."""
        if isinstance(value, str):
            self._content.append(value)
            self._text.append(value)
        elif is_array(value):
            self._content.extend(value)
            for chunk in value:
                said = chunk.get("text") if is_object(chunk) and chunk.get("type") == "text" else None
                if isinstance(said, str):
                    self._text.append(said)

    def _call(self, piece: dict[str, Any]) -> None:
        """Add a piece to the call that it belongs to."""
        index = piece.get("index")
        call = next((each for each in reversed(self._calls) if index is None or each.index == index), None)
        if call is None or call.begins(piece):
            call = Call(index)
            self._calls.append(call)
        call.take(piece)
