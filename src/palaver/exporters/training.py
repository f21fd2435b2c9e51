"""Conversations to train models with: one line of JSON for each session.

Both forms have what was live, without hidden messages, commands, reasoning and media, and are legal: no call without
a result, no result without a call. They are made turn by turn, so that a long session is never in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from palaver.exporters.entries import Entry, Item
from palaver.exporters.wording import media_line
from palaver.formats.legal import legal
from palaver.formats.wire import Notes
from palaver.info import SessionInfo
from palaver.model import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolResult
from palaver.replay import replayable

__all__ = ["plain", "sharegpt"]

LONGEST = 1_000
"""Messages that are looked at together at most, where calls are never answered."""
_MEDIA = (ImagePart, AudioPart, FilePart)


def plain(info: SessionInfo, items: Iterable[Item]) -> Iterator[str]:
    """`{"id", "messages": [{"role", "content", "tool_calls"?, "tool_call_id"?}, …]}`.

    The form that OpenAI's fine-tuning takes: https://platform.openai.com/docs/guides/supervised-fine-tuning
    """
    yield f'{{"id":{_json(info.id)},"messages":['
    yield from _listed(line for message in _legal(items) for line in _plain(message))
    yield "]}\n"


def sharegpt(info: SessionInfo, items: Iterable[Item]) -> Iterator[str]:
    """`{"id", "conversations": [{"from": "system" | "human" | "gpt" | "tool", "value"}, …]}`.

    Calls and results are in tags, as Nous Research writes them:
    https://huggingface.co/datasets/NousResearch/hermes-function-calling-v1. What one speaker says in several messages
    is one value, as trainers want speakers to alternate; what happened in between starts a new one.
    """
    yield f'{{"id":{_json(info.id)},"conversations":['
    yield from _listed(_merged(_legal(items)))
    yield "]}\n"


def _legal(items: Iterable[Item]) -> Iterator[Message]:
    """Live messages that may be shown to a model, mended a few turns at a time."""
    for some in _segments(items):
        yield from legal(some, Notes())


def _segments(items: Iterable[Item]) -> Iterator[list[Message]]:
    """Runs of messages that begin at a user's, where no call waits for its result."""
    some: list[Message] = []
    waiting = 0
    for item in items:
        if not isinstance(item, Entry) or not item.live or not replayable(item.message):
            continue
        message = item.message
        if some and message.role == "user" and (waiting <= 0 or len(some) >= LONGEST):
            yield some
            some, waiting = [], 0
        waiting += len(message.tool_calls) - len(message.tool_results)
        some.append(message)
    if some:
        yield some


def _plain(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        for result in message.tool_results:
            yield {"role": "tool", "tool_call_id": result.call_id, "content": _text(result.parts)}
        return
    role = "system" if message.role == "developer" else message.role
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
        for call in message.tool_calls
    ]
    text = _text(message.parts)
    if calls:
        yield {"role": role, "content": text or None, "tool_calls": calls}
    elif text:
        yield {"role": role, "content": text}


def _merged(messages: Iterable[Message]) -> Iterator[dict[str, str]]:
    speaker = ""
    said: list[str] = []
    called: dict[str, str] = {}
    for message in messages:
        called.update((call.call_id, call.name) for call in message.tool_calls)
        for who, value in _spoken(message, called):
            if who != speaker and said:
                yield {"from": speaker, "value": "\n".join(said)}
                said = []
            speaker = who
            said.append(value)
    if said:
        yield {"from": speaker, "value": "\n".join(said)}


def _spoken(message: Message, called: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    names = {"system": "system", "developer": "system", "user": "human", "assistant": "gpt", "tool": "tool"}
    text = _text(message.parts)
    if text:
        yield names[message.role], text
    for call in message.tool_calls:
        yield "gpt", f"<tool_call>\n{_tagged({'name': call.name, 'arguments': _value(call.arguments)})}\n</tool_call>"
    for result in message.tool_results:
        answer = {
            "tool_call_id": result.call_id,
            "name": result.name or called.get(result.call_id),
            "content": _text(result.parts),
        }
        yield "tool", f"<tool_response>\n{_tagged(answer)}\n</tool_response>"


def _text(parts: Iterable[Part]) -> str:
    said = (
        part.text if isinstance(part, TextPart) else media_line(part) if isinstance(part, _MEDIA) else ""
        for part in parts
        if not isinstance(part, ToolResult)
    )
    return "\n".join(line for line in said if line)


def _value(arguments: str) -> Any:
    """Arguments as the JSON that they are, to the letter; what is none is a text."""
    try:
        msgspec.json.decode(arguments or "{}")
        return msgspec.Raw((arguments or "{}").encode())
    except (msgspec.DecodeError, RecursionError):
        return arguments


def _tagged(value: Any) -> str:
    r"""JSON in which no tag can end: `</` is `<\/`, which means the same."""
    return _json(value).replace("</", "<\\/")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _listed(values: Iterable[Any]) -> Iterator[str]:
    for number, value in enumerate(values):
        yield f"{',' if number else ''}{_json(value)}"
