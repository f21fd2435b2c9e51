"""Messages of other wires, or of none, as contents: their meaning, as far as this wire can say it."""

from __future__ import annotations

from typing import Any, cast

from palaver.formats.google.keys import SIGNATURE, WIRE
from palaver.formats.google.media import breadcrumb, spell_media
from palaver.formats.google.mending import PLACEHOLDER
from palaver.formats.google.parts import spell_call, spell_part
from palaver.formats.google.results import spell_response
from palaver.formats.google.turns import answer_in, call_in
from palaver.formats.wire import Notes
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
    """Spells what did not come from this wire. It watches every call, as a result is told by its call's name."""

    def __init__(self, notes: Notes, *, repair: bool) -> None:
        self._notes = notes
        self._repair = repair
        self._waiting: list[ToolCall] = []
        self._role = ""

    def watch(self, message: Message) -> None:
        """Note the calls of a message, and the answers to them."""
        if message.role == "assistant":
            if self._role != "assistant":
                self._waiting = []
            self._waiting.extend(part for part in message.parts if type(part) is ToolCall)
        elif message.role == "tool" and self._waiting:
            for part in message.parts:
                if type(part) is ToolResult:
                    self._call_of(part)
        self._role = message.role

    def _call_of(self, result: ToolResult) -> ToolCall | None:
        """The call that a result answers: by its id, else the next of its name, else the next."""
        waiting = self._waiting
        found = next((call for call in waiting if result.call_id and call.call_id == result.call_id), None)
        if found is None:
            loose = [call for call in waiting if not (call.call_id and result.call_id)]
            found = next((call for call in loose if call.name == result.name), None)
            if found is None and not result.name:
                found = next(iter(loose), None)
        if found is not None:
            waiting.remove(found)
        return found

    def content(self, message: Message, last: dict[str, Any] | None) -> dict[str, Any] | None:
        """The content that says a message; `last`, with more in it, where it goes on; None where nothing can be said.

        `last` is the content before it, if that did not come from this wire either.
        """
        role = message.role
        if message.name is not None:
            self._notes.add("name_left_out", f"the participant name {message.name!r} has no place on google")
        if role == "tool":
            return self._results(message, last)
        if role in ("system", "developer"):
            self._notes.add("role_changed", f"a {role} message in the middle is the user's on google")
        parts = self._parts(message)
        if role == "assistant":
            self.watch(message)
        self._role = role
        if not parts:
            if message.parts:
                self._notes.add("message_left_out", "nothing of it can be said on google")
                return None
            parts = [{"text": ""}]
        if role != "assistant":
            return {"role": "user", "parts": parts}
        if message.joins and last is not None and last.get("role") == "model":
            last["parts"].extend(parts)
            parts, content = last["parts"], last
        else:
            content = {"role": "model", "parts": parts}
        if self._repair:
            self._sign(parts)
        return content

    def _sign(self, parts: list[Any]) -> None:
        """Give the first call of a step the signature that Google takes for a call of another model's.

        Of every step, whether or not its turn is the current one: what was sent once is sent the same again.
        """
        first = next((part for part in parts if call_in(part) is not None), None)
        if first is not None and SIGNATURE not in first:
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
            entry = spell_part(part) if part.wire == WIRE else None
            if entry is None:
                self._notes.add("opaque_left_out", f"a part of {part.wire} means nothing on google")
            return [] if entry is None else [entry]
        spelled = spell_media(part, native=False)
        if spelled is None:
            self._notes.add("media_left_out", f"{breadcrumb(part)} has no bytes, type or address that google reads")
            return [{"text": breadcrumb(part)}]
        if part.name:
            self._notes.add("name_left_out", f"the file name {part.name!r} has no place on google")
        key, inner = spelled
        return [{key: inner}]

    def _results(self, message: Message, last: dict[str, Any] | None) -> dict[str, Any] | None:
        """The results of a turn stand in one content, and what they show stands after them."""
        goes_on = self._role == "tool" and last is not None and answer_in(last["parts"][0]) is not None
        self._role = "tool"
        answers: list[Any] = []
        beside: list[Any] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                answers.append(self._result(part, beside))
            elif isinstance(part, TextPart):
                beside.extend([{"text": part.text}] if part.text else [])
            elif isinstance(part, (ImagePart, AudioPart, FilePart, Opaque)):
                beside.extend(self._shown(part))
            else:
                self._notes.add("part_left_out", "it does not belong in a tool message")
        if not goes_on:
            parts = answers + beside
            return {"role": "user", "parts": parts} if parts else None
        parts = cast("dict[str, Any]", last)["parts"]
        count = sum(answer_in(part) is not None for part in parts)
        parts[count:count] = answers
        parts.extend(beside)
        return last

    def _result(self, result: ToolResult, beside: list[Any]) -> dict[str, Any]:
        call = self._call_of(result)
        name = result.name if call is None else call.name
        call_id = result.call_id if call is None else call.call_id
        if call is not None and result.name and result.name != call.name:
            self._notes.add("name_changed", f"the result of {result.name!r} got its call's name, {call.name!r}")
        texts = [part.text for part in result.parts if isinstance(part, TextPart)]
        for part in result.parts:
            if not isinstance(part, TextPart):
                shown = self._shown(part)
                if shown and "text" not in shown[0]:
                    self._notes.add("moved", "what a tool showed stands after the results: older models take it so only")
                beside.extend(shown)
        response = spell_response(texts, (), is_error=bool(result.is_error), native=False)
        inner: dict[str, Any] = {"name": name} if name else {}
        inner["response"] = response
        if call_id:
            inner["id"] = call_id
        return {"functionResponse": inner}
