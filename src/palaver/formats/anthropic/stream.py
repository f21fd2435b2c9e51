"""Anthropic's stream events, put together to the message that the answer would have been without streaming."""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.anthropic.parsing import parse
from palaver.formats.anthropic.usage import usage_of
from palaver.formats.blocks import json_value
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage

__all__ = ["AnthropicStream", "stream"]

_WITH_INPUT = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def stream() -> AnthropicStream:
    """A new accumulator for the events of one streamed answer."""
    return AnthropicStream()


class AnthropicStream:
    """One answer in the making. Events are those of `client.messages.stream` or of the raw server-sent events.

    The message is finished by `message_stop`. Cut off before that, it has the text and the reasoning as far as they
    came, and only such calls as were whole.
    """

    def __init__(self) -> None:
        self.text = ""
        self.usage: Usage | None = None
        self.error: str | None = None
        self.stop_reason: str | None = None
        self._answer: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self._whole: set[int] = set()

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one event; the finished message with the last one."""
        match event.get("type"):
            case "message_start" if is_object(event.get("message")):
                self._begin(event["message"])
            case "content_block_start" if is_object(event.get("content_block")):
                self._start(_index(event), event["content_block"])
            case "content_block_delta" if is_object(event.get("delta")):
                self._add(_index(event), event["delta"])
            case "content_block_stop":
                self._whole.add(_index(event))
            case "message_delta":
                self._change(event)
            case "message_stop":
                reason = (self._answer or {}).get("stop_reason")
                self.stop_reason = reason if isinstance(reason, str) else "message_stop"
                return self._finished(ended=True)
            case "error":
                self.error = _said(event.get("error"))
            case str():  # pings, what the SDK derives from the events above, and events that are newer than this
                pass
            case _:
                raise InvalidMessage("the event has no type; give the events of Anthropic's stream")
        return []

    def finish(self) -> list[Message]:
        """What there is of a message that was not finished."""
        return self._finished(ended=False)

    def _begin(self, message: dict[str, Any]) -> None:
        self._answer = dict(message)
        content = message.get("content")
        for index, block in enumerate(content if is_array(content) else ()):
            if is_object(block):
                self._start(index, block)
                self._whole.add(index)
        self._count(message.get("usage"))

    def _start(self, index: int, block: dict[str, Any]) -> None:
        self._blocks[index] = dict(block)
        text = block.get("text")
        if block.get("type") == "text" and isinstance(text, str):
            self.text += text

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks.get(index)
        if block is None:
            return
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                block["text"] = f"{block.get('text') or ''}{text}"
                self.text += text
            case {"type": "input_json_delta", "partial_json": str(text)}:
                self._inputs[index] = self._inputs.get(index, "") + text
            case {"type": "citations_delta", "citation": citation}:
                block["citations"] = [*(block.get("citations") or ()), citation]
            case {"type": "thinking_delta", "thinking": str(text)}:
                block["thinking"] = f"{block.get('thinking') or ''}{text}"
            case {"type": "signature_delta", "signature": str(signature)}:
                block["signature"] = signature
            case {"type": "compaction_delta", **rest}:
                block.update(rest)
            case _:
                pass

    def _change(self, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        if self._answer is not None and is_object(delta):
            self._answer.update({key: value for key, value in delta.items() if value is not None})
        self._count(event.get("usage"))

    def _count(self, said: Any) -> None:
        """Counts are totals: what a later event says stands for what an earlier one said."""
        if self._answer is None or not is_object(said):
            return
        before = self._answer.get("usage")
        known = {key: value for key, value in said.items() if value is not None}
        self._answer["usage"] = {**(before if is_object(before) else {}), **known}
        self.usage = usage_of(self._answer["usage"], self._answer.get("model"))

    def _finished(self, *, ended: bool) -> list[Message]:
        answer, self._answer = self._answer, None
        if answer is None:
            return []
        content = [block for index in sorted(self._blocks) if (block := self._block(index, answer)) is not None]
        self._blocks, self._inputs, self._whole = {}, {}, set()
        if not content and not ended:
            return []
        return parse([{**answer, "role": "assistant", "content": content}])

    def _block(self, index: int, answer: dict[str, Any]) -> dict[str, Any] | None:
        """A block as it came; None for what is no use in part, or holds nothing yet."""
        block, whole = self._blocks[index], index in self._whole
        kind = block.get("type")
        if kind == "text":
            return block if whole or block.get("text") else None
        if kind == "thinking":
            if not whole and not block.get("signature"):
                block.pop("signature", None)
                return block if block.get("thinking") else None
            return block
        if not whole:
            return None
        if kind in _WITH_INPUT and index in self._inputs:
            return self._with_input(block, self._inputs[index], answer)
        return block

    def _with_input(self, block: dict[str, Any], text: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        if not text:
            return block
        try:
            return {**block, "input": json_value(text)}
        except ValueError:  # cut off by max_tokens; or really no JSON, which the tool's answer then has to say
            asked = block.get("type") == "tool_use" and answer.get("stop_reason") == "tool_use"
            return {**block, "input": {"INVALID_JSON": text}} if asked else None


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    if not isinstance(index, int):
        raise InvalidMessage(f"the event {event.get('type')!r} has no index; give the events of Anthropic's stream")
    return index


def _said(error: Any) -> str:
    if not is_object(error):
        return "error"
    return ": ".join(str(error[key]) for key in ("type", "message") if error.get(key)) or "error"
