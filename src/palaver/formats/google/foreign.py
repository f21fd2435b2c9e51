"""Messages of other wires, or of none, as contents: their meaning, as far as this wire can say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.formats.failures import failed
from palaver.formats.google.keys import NOTHING, SIGNATURE
from palaver.formats.google.media import breadcrumb, spell_media
from palaver.formats.google.mending import PLACEHOLDER
from palaver.formats.google.pairing import Calls
from palaver.formats.google.parts import spell_call, spell_part
from palaver.formats.google.results import spell_response
from palaver.formats.google.turns import call_in
from palaver.formats.wire import Notes, is_object
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["Foreign"]


class Foreign:
    """Spells what did not come from this wire."""

    def __init__(self, notes: Notes, *, repair: bool) -> None:
        self._notes = notes
        self._repair = repair
        self._waiting = Calls()
        """The calls that the tool messages of one run answer."""
        self._seen = 0
        """Up to which message the results have taken their calls."""
        self._answers: tuple[dict[str, Any], int] | None = None
        """The last content of results, and how many answers it begins with."""
        self._called: dict[str, Any] | None = None
        """The last content of the model that has a call in it."""

    def content(self, messages: Sequence[Message], index: int, last: dict[str, Any] | None) -> dict[str, Any] | None:
        """The content that says a message; `last`, with more in it, where it goes on; None where nothing can be said.

        `last` is the content before it, if that did not come from this wire either.
        """
        message = messages[index]
        role = message.role
        if message.name is not None:
            self._notes.add("name_left_out", f"the participant name {message.name!r} has no place on google")
        if role == "tool":
            goes_on = index > 0 and messages[index - 1].role == "tool"
            self._catch_up(messages, index)
            return self._results(message, last if goes_on else None)
        if role in ("system", "developer"):
            self._notes.add("role_changed", f"a {role} message in the middle is the user's on google")
        parts = self._parts(message)
        if not parts:
            if message.parts:
                self._notes.add("message_left_out", "nothing of it can be said on google")
                return None
            parts = [{"text": ""}]
        if role != "assistant":
            return {"role": "user", "parts": parts}
        goes_on = message.joins and last is not None and last.get("role") == "model"
        if not goes_on and all(_says_nothing(part) for part in parts):
            self._notes.add("message_left_out", "it has nothing but reasoning, whose signature means nothing on google")
            return None
        if goes_on and last is not None:
            last["parts"].extend(parts)
            content = last
        else:
            content = {"role": "model", "parts": parts}
        if self._repair:
            self._sign(content, parts)
        return content

    def _sign(self, content: dict[str, Any], parts: list[Any]) -> None:
        """Give the first call of a step the signature that Google takes for a call of another model's.

        Of every step, whether or not its turn is the current one: what was sent once is sent the same again. `parts`
        are those that are new in the content.
        """
        if self._called is content:
            return
        first = next((part for part in parts if call_in(part) is not None), None)
        if first is None:
            return
        self._called = content
        if SIGNATURE not in first:
            first[SIGNATURE] = PLACEHOLDER
            self._notes.add("signature_made", "a call of another model got the placeholder for a thought signature")

    def _parts(self, message: Message) -> list[Any]:
        out: list[Any] = []
        empty: dict[str, Any] | None = None
        for part in message.parts:
            if isinstance(part, TextPart):
                if part.text:
                    out.append({"text": part.text})
                else:
                    empty = {"text": ""}
            elif isinstance(part, ToolCall):
                if message.role == "assistant":
                    out.append(self._call(part))
                else:
                    self._notes.add("part_left_out", f"a call does not belong in a {message.role} message")
            elif isinstance(part, ThinkingPart):
                out.extend(self._thinking(part))
            elif isinstance(part, ToolResult):
                self._notes.add("part_left_out", f"a tool result does not belong in a {message.role} message")
            else:
                out.extend(self._shown(part))
        if not out and empty is not None:
            out.append(empty)
        return out

    def _call(self, call: ToolCall) -> dict[str, Any]:
        entry, changed = spell_call(call, native=False)
        if changed:
            self._notes.add("arguments_changed", f"the arguments of {call.name!r} are no JSON object; one holds them")
        return entry

    def _thinking(self, part: ThinkingPart) -> list[Any]:
        if not part.text:
            self._notes.add("thinking_left_out", "encrypted reasoning of another wire means nothing on google")
            return []
        if part.signature or part.redacted:
            self._notes.add("thinking_changed", "the signature of another wire's reasoning means nothing on google")
        return [{"text": part.text, "thought": True}]

    def _shown(self, part: ImagePart | AudioPart | FilePart | Opaque) -> list[Any]:
        if isinstance(part, Opaque):
            entry = spell_part(part)
            if entry is NOTHING:
                self._notes.add("opaque_left_out", f"a part of {part.wire} means nothing on google")
            return [] if entry is NOTHING else [entry]
        spelled = spell_media(part, native=False)
        if spelled is None:
            self._notes.add("media_left_out", f"{breadcrumb(part)} has no bytes, type or address that google reads")
            return [{"text": breadcrumb(part)}]
        if part.name:
            self._notes.add("name_left_out", f"the file name {part.name!r} has no place on google")
        key, inner = spelled
        return [{key: inner}]

    def _catch_up(self, messages: Sequence[Message], index: int) -> None:
        """Know the calls that wait for an answer where a tool message stands; this message takes its own."""
        first = index
        while first > self._seen and messages[first - 1].role == "tool":
            first -= 1
        if first > self._seen:  # the results of another turn
            begin = first
            while begin > 0 and messages[begin - 1].role == "assistant":
                begin -= 1
            self._waiting = Calls(
                part for message in messages[begin:first] for part in message.parts if type(part) is ToolCall
            )
        for message in messages[first:index]:
            for part in message.parts:
                if type(part) is ToolResult:
                    self._waiting.take(part)
        self._seen = index + 1

    def _results(self, message: Message, last: dict[str, Any] | None) -> dict[str, Any] | None:
        """The results of a turn stand in one content, and what they show stands after them."""
        answers: list[Any] = []
        beside: list[Any] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                answers.append(self._result(part, self._waiting.take(part), beside))
            elif isinstance(part, TextPart):
                beside.extend([{"text": part.text}] if part.text else [])
            elif isinstance(part, (ImagePart, AudioPart, FilePart, Opaque)):
                beside.extend(self._shown(part))
            else:
                self._notes.add("part_left_out", "it does not belong in a tool message")
        if last is None or self._answers is None or self._answers[0] is not last:
            if not answers and not beside:
                return None
            content = {"role": "user", "parts": answers + beside}
            self._answers = (content, len(answers))
            return content
        parts, count = last["parts"], self._answers[1]
        parts[count:count] = answers
        parts.extend(beside)
        self._answers = (last, count + len(answers))
        return last

    def _result(self, result: ToolResult, call: ToolCall | None, beside: list[Any]) -> dict[str, Any]:
        name = result.name if call is None else call.name
        call_id = result.call_id if call is None else call.call_id
        if call is not None and result.name and result.name != call.name:
            self._notes.add("name_changed", f"the result of {result.name!r} got its call's name, {call.name!r}")
        texts = [part.text for part in result.parts if isinstance(part, TextPart)]
        if result.is_error and not any(texts):
            texts = [failed("", self._notes)]
        for part in result.parts:
            if not isinstance(part, TextPart):
                shown = self._shown(part)
                if shown and not (is_object(shown[0]) and "text" in shown[0]):
                    self._notes.add(
                        "moved", "what a tool showed stands after the results: older models take it so only"
                    )
                beside.extend(shown)
        inner: dict[str, Any] = {"name": name} if name else {}
        inner["response"] = spell_response(texts, (), is_error=bool(result.is_error), native=False)
        if call_id:
            inner["id"] = call_id
        return {"functionResponse": inner}


def _says_nothing(part: Any) -> bool:
    """Whether an entry is a thought or a blank text."""
    if not is_object(part) or not isinstance(part.get("text"), str):
        return False
    return part.get("thought") is True or not part["text"].strip()
