"""The events of a streamed response, and the messages that it is when it ends."""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.openai_responses.parsing import parse
from palaver.formats.openai_responses.usage import usage_of
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage

__all__ = ["ResponseStream"]

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_DELTAS = {
    "response.output_text.delta": ("output_text", "text"),
    "response.refusal.delta": ("refusal", "refusal"),
}
_DONE = {
    "response.output_text.done": ("output_text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
}


class _Item:
    """An output item in the making."""

    __slots__ = ("done", "raw", "texts")

    def __init__(self) -> None:
        self.raw: dict[str, Any] = {}
        self.done = False
        self.texts: dict[int, dict[str, str]] = {}
        """The entries of a message's content so far, by their place."""


class ResponseStream:
    """Collects the items of a response; they are messages when it ends, as one response is mostly one message.

    Of a stream that broke off, the items that were complete are kept, and text as far as it came. That text has no
    item id: the server may not know the item, and refuses ids that it does not know.
    """

    def __init__(self) -> None:
        self.text = ""
        self.usage: Usage | None = None
        self.error: str | None = None
        self.stop_reason: str | None = None
        self._items: dict[int, _Item] = {}

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one event. The messages of the response, when this was its last."""
        kind = event.get("type")
        if not isinstance(kind, str):
            raise InvalidMessage("the event has no type; openai_responses streams events such as response.created")
        if kind == "error":
            self._fail(event.get("error") if is_object(event.get("error")) else event)
        elif kind in _ENDS:
            return self._end(event)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(event, done=kind.endswith("done"))
        elif kind in _DELTAS:
            entry_kind, key = _DELTAS[kind]
            delta = _text(event, "delta")
            entry = self._entry(event, entry_kind, key)
            entry[key] += delta
            self.text += delta
        elif kind in _DONE:
            entry_kind, key = _DONE[kind]
            whole = _text(event, key)
            entry = self._entry(event, entry_kind, key)
            if not entry[key]:
                self.text += whole
            entry[key] = whole
        return []

    def finish(self) -> list[Message]:
        """What there is of a response that did not end."""
        items: list[Any] = []
        for _, item in sorted(self._items.items()):
            if item.done:
                items.append(item.raw)
            elif (partial := _partial(item)) is not None:
                items.append(partial)
        self._items = {}
        return self._finished(items)

    def _finished(self, items: list[Any]) -> list[Message]:
        messages = parse(items)
        if messages and self.usage is not None:
            messages[-1] = messages[-1].replace(usage=self.usage)
        return messages

    def _end(self, event: dict[str, Any]) -> list[Message]:
        response = event.get("response")
        if not is_object(response):
            raise InvalidMessage(f"the event {event['type']} has no response")
        self.usage = usage_of(response) or self.usage
        details = response.get("incomplete_details")
        reason = details.get("reason") if is_object(details) else None
        self.stop_reason = reason if isinstance(reason, str) else event["type"].removeprefix("response.")
        if is_object(response.get("error")):
            self._fail(response["error"])
        elif event["type"] == "response.failed" and self.error is None:
            self.error = "the response failed"
        output = response.get("output")
        if not is_array(output) or not output:  # some servers leave it empty at the end
            return self.finish()
        self._items = {}
        return self._finished(output)

    def _fail(self, error: Any) -> None:
        code, message = error.get("code"), error.get("message")
        said = [value for value in (code, message) if isinstance(value, str) and value]
        self.error = ": ".join(said) or "the provider reported an error"

    def _at(self, event: dict[str, Any]) -> _Item:
        index = event.get("output_index")
        if not isinstance(index, int) or isinstance(index, bool):
            raise InvalidMessage(f"the event {event['type']} has no output_index")
        return self._items.setdefault(index, _Item())

    def _item(self, event: dict[str, Any], *, done: bool) -> None:
        raw = event.get("item")
        if not is_object(raw):
            raise InvalidMessage(f"the event {event['type']} has no item")
        item = self._at(event)
        if done and not item.texts:
            self.text += "".join(_texts(raw))
        item.raw, item.done = raw, done

    def _entry(self, event: dict[str, Any], kind: str, key: str) -> dict[str, str]:
        place = event.get("content_index")
        if not isinstance(place, int) or isinstance(place, bool):
            raise InvalidMessage(f"the event {event['type']} has no content_index")
        return self._at(event).texts.setdefault(place, {"type": kind, key: ""})


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise InvalidMessage(f"the event {event['type']} has no {key}")
    return value


def _texts(raw: dict[str, Any]) -> list[str]:
    """The texts of a message item."""
    content = raw.get("content")
    if raw.get("type") != "message" or not is_array(content):
        return []
    said = [entry.get("text", entry.get("refusal")) for entry in content if is_object(entry)]
    return [text for text in said if isinstance(text, str)]


def _partial(item: _Item) -> dict[str, Any] | None:
    """A message item as far as it came; None where nothing of it can be kept."""
    content = [entry for _, entry in sorted(item.texts.items()) if entry.get("text") or entry.get("refusal")]
    if not content:
        return None
    out: dict[str, Any] = {"type": "message", "role": "assistant", "content": content}
    if isinstance(item.raw.get("phase"), str):
        out["phase"] = item.raw["phase"]
    return out
