"""The events of ConverseStream, put together to the message that the answer would have been without streaming."""

from __future__ import annotations

import base64
from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.bedrock.parsing import parse
from palaver.formats.bedrock.usage import usage_of
from palaver.formats.blocks import json_value
from palaver.formats.wire import is_object
from palaver.model import Message, Usage

__all__ = ["BedrockStream", "stream"]


def stream() -> BedrockStream:
    """A new accumulator for the events of one streamed answer."""
    return BedrockStream()


class BedrockStream:
    """One answer in the making, from the events of `response["stream"]`.

    The message is finished by `metadata`, which comes after `messageStop` and says what it used. Cut off before that,
    it has the text and the reasoning as far as they came, and only such calls as were whole.
    """

    def __init__(self) -> None:
        self.text = ""
        self.usage: Usage | None = None
        self.error: str | None = None
        self.stop_reason: str | None = None
        self._role: str | None = None
        self._ended = False
        self._reason: Any = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self._whole: set[int] = set()

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one event; the finished message with the last one."""
        if not event:
            raise InvalidMessage("the event is empty; give the events of Converse's stream")
        for kind, value in event.items():
            if not is_object(value):
                continue
            match kind:
                case "messageStart":
                    self._role = value.get("role") if isinstance(value.get("role"), str) else "assistant"
                case "contentBlockStart" if is_object(value.get("start")):
                    self._start(_index(value), value["start"])
                case "contentBlockDelta" if is_object(value.get("delta")):
                    self._add(_index(value), value["delta"])
                case "contentBlockStop":
                    self._whole.add(_index(value))
                case "messageStop":
                    self._ended, self._reason = True, value.get("stopReason")
                    self.stop_reason = str(self._reason or "messageStop")
                case "metadata":
                    self.usage = usage_of(value.get("usage"))
                    return self._finished()
                case _ if kind.endswith("Exception"):
                    said = value.get("message") or value.get("originalMessage")
                    self.error = f"{kind}: {said}" if said else kind
                case _:
                    pass
        return []

    def finish(self) -> list[Message]:
        """What there is of a message that was not finished."""
        return self._finished()

    def _start(self, index: int, start: dict[str, Any]) -> None:
        self._blocks[index] = {key: dict(value) if is_object(value) else value for key, value in start.items()}

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks.setdefault(index, {})
        match delta:
            case {"text": str(text)}:
                block["text"] = block.get("text", "") + text
                self.text += text
            case {"toolUse": {"input": str(text)}}:
                self._inputs[index] = self._inputs.get(index, "") + text
            case {"toolResult": [*entries]}:
                result = block.setdefault("toolResult", {})
                result["content"] = [*(result.get("content") or ()), *entries]
            case {"reasoningContent": reasoning} if is_object(reasoning):
                _reason(block.setdefault("reasoningContent", {}), reasoning)
            case {"citation": citation}:
                block.setdefault("citationsContent", {}).setdefault("citations", []).append(citation)
            case _:
                block.update({key: value for key, value in delta.items() if key not in block})

    def _finished(self) -> list[Message]:
        role, self._role = self._role, None
        if role is None:
            return []
        content = [block for index in sorted(self._blocks) if (block := self._block(index)) is not None]
        self._blocks, self._inputs, self._whole = {}, {}, set()
        if not content and not self._ended:
            return []
        out = parse([{"role": role, "content": content}])
        if self.usage is not None:
            out[-1] = out[-1].replace(usage=self.usage)
        return out

    def _block(self, index: int) -> dict[str, Any] | None:
        """A block as it came; None for what is no use in part, or holds nothing yet."""
        block, whole = self._blocks[index], index in self._whole
        if "toolUse" in block:
            return self._call(block["toolUse"], self._inputs.get(index, "")) if whole else None
        if "citationsContent" in block and "text" in block:  # the text is what the citations are about
            return {"citationsContent": {**block["citationsContent"], "content": [{"text": block["text"]}]}}
        if "text" in block:
            return {"text": block["text"]} if whole or block["text"] else None
        if "reasoningContent" in block:
            return block if block["reasoningContent"] else None
        return block if whole and block else None

    def _call(self, call: Any, text: str) -> dict[str, Any] | None:
        if not is_object(call):
            return None
        if not text:
            return {"toolUse": {**call, "input": {}}}
        try:
            return {"toolUse": {**call, "input": json_value(text)}}
        except ValueError:  # cut off by max_tokens; or really no JSON, which the tool's answer then has to say
            return {"toolUse": {**call, "input": {"INVALID_JSON": text}}} if self._reason == "tool_use" else None


def _reason(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for key in ("text", "signature"):
        if isinstance(delta.get(key), str):
            said = block.setdefault("reasoningText", {})
            said[key] = said.get(key, "") + delta[key]
    if isinstance(delta.get("redactedContent"), str):
        block["redactedContent"] = _joined(block.get("redactedContent", ""), delta["redactedContent"])


def _joined(before: str, more: str) -> str:
    """Two pieces of bytes as one base64 text: each may have been encoded by itself."""
    if not before.endswith("="):
        return before + more
    try:
        return base64.b64encode(base64.b64decode(before) + base64.b64decode(more)).decode("ascii")
    except ValueError:
        return before + more


def _index(value: dict[str, Any]) -> int:
    index = value.get("contentBlockIndex")
    if not isinstance(index, int):
        raise InvalidMessage("the event has no contentBlockIndex; give the events of Converse's stream")
    return index
