"""A streamed answer: chunks of GenerateContentResponse, put together to the content that it would have been at once.

Texts in a row become one. A text with a signature stays by itself: where such parts were merged, requests were refused
(`Corrupted thought signature`, https://github.com/platberlitz/SillyBunny/pull/647).
"""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.google.parsing import parse
from palaver.formats.google.partial import PartialCall, is_partial
from palaver.formats.google.turns import call_in
from palaver.formats.google.usage import either, usage_of
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage

__all__ = ["GoogleStream"]

_FINE = ("STOP", "MAX_TOKENS", "CONTINUATION", "FINISH_REASON_UNSPECIFIED")
_KNOWN = (
    "candidates",
    "usageMetadata",
    "usage_metadata",
    "promptFeedback",
    "prompt_feedback",
    "modelVersion",
    "model_version",
    "responseId",
    "response_id",
    "createTime",
    "create_time",
    "sdk_http_response",
    "error",
)


class GoogleStream:
    """Takes the chunks of one answer. Of several candidates it takes the first."""

    def __init__(self) -> None:
        self.text = ""
        self.usage: Usage | None = None
        self.error: str | None = None
        self.stop_reason: str | None = None
        self._candidate: dict[str, Any] = {}
        self._content: dict[str, Any] | None = None
        self._parts: list[Any] = []
        self._partial: PartialCall | None = None

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one chunk. The answer is finished when the stream is, so that nothing is given back here."""
        if event and not any(key in event for key in _KNOWN):
            raise InvalidMessage(f"no chunk of a google stream has the keys {', '.join(list(event)[:5])}")
        error = event.get("error")
        if error is not None:
            said = (error.get("message") or error.get("status")) if is_object(error) else error
            self.error = str(said or "error")
        self.usage = usage_of(event) or self.usage
        feedback = either(event, "promptFeedback", "prompt_feedback")
        if is_object(feedback) and (reason := either(feedback, "blockReason", "block_reason")):
            said = either(feedback, "blockReasonMessage", "block_reason_message")
            self.error = f"{reason}: {said}" if said else str(reason)
        candidates = event.get("candidates")
        if candidates is None:
            return []
        if not is_array(candidates) or not all(is_object(candidate) for candidate in candidates):
            raise InvalidMessage("candidates of a chunk is no list of objects")
        for candidate in candidates:
            if not candidate.get("index"):
                self._take(candidate)
                break
        return []

    def _take(self, candidate: dict[str, Any]) -> None:
        for key, value in candidate.items():
            if value is not None and key != "content":
                self._candidate[key] = value
        reason = either(candidate, "finishReason", "finish_reason")
        if isinstance(reason, str) and reason:
            self.stop_reason = reason
        if reason and reason not in _FINE:
            said = either(candidate, "finishMessage", "finish_message")
            self.error = f"{reason}: {said}" if said else str(reason)
        content = candidate.get("content")
        if content is None:
            return
        parts = content.get("parts") if is_object(content) else None
        if not is_object(content) or not (parts is None or is_array(parts)):
            raise InvalidMessage("the content of a chunk is no object with parts")
        beside = {key: value for key, value in content.items() if key != "parts"}
        self._content = {**(self._content or {}), **beside}
        for part in parts or []:
            self._add(part)

    def _add(self, part: Any) -> None:
        if is_object(part) and is_partial(call_in(part), open_call=self._partial is not None):
            self._partial = self._partial or PartialCall()
            whole = self._partial.take(part)
            if whole is not None:
                self._partial = None
                self._parts.append(whole)
            return
        text = part.get("text") if is_object(part) else None
        if not isinstance(text, str):
            self._parts.append(part)
            return
        if part.get("thought") is not True:
            self.text += text
        if _bare(part) and self._parts:
            before: Any = self._parts[-1]
            if _bare(before) and before.get("thought") == part.get("thought"):
                before["text"] += text
                return
            if not text:
                return
            if _bare(before) and not before["text"]:
                self._parts.pop()
        self._parts.append(dict(part))

    def finish(self) -> list[Message]:
        """The answer, as far as it came; a call that is not whole is left out."""
        content, parts = self._content, self._parts
        self._content, self._parts, self._partial = None, [], None
        if content is None:
            return []
        content.setdefault("role", "model")
        candidate = {**self._candidate, "content": {**content, "parts": parts} if parts else content}
        messages = parse([candidate])
        if messages and self.usage is not None:
            messages[-1] = messages[-1].replace(usage=self.usage)
        return messages


def _bare(part: Any) -> bool:
    """Whether a part is a text, or a thought, and nothing else."""
    return is_object(part) and isinstance(part.get("text"), str) and set(part) <= {"text", "thought"}
