"""What messages say, whatever wire they came from: texts, calls, results, media; and what became of it elsewhere.

It is written against the model alone and knows no wire. What is missing must be explained by a repair: as many missing
things of a kind, as many repairs that can be about them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palaver.formats import Rendered, RepairKind
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["Meaning", "meaning", "unexplained"]

MEDIA = (ImagePart, AudioPart, FilePart)
_CHANGED_TEXT: tuple[RepairKind, ...] = ("text_changed", "message_left_out", "part_left_out", "role_changed")
_LOST_RESULT: tuple[RepairKind, ...] = ("result_left_out", "message_left_out", "part_left_out")
_LOST_CALL: tuple[RepairKind, ...] = ("part_left_out", "message_left_out", "opaque_left_out")
_LOST_MEDIA: tuple[RepairKind, ...] = ("media_left_out", "part_left_out", "message_left_out", "result_left_out")
_LOST_THOUGHT: tuple[RepairKind, ...] = ("thinking_left_out", "thinking_changed", "message_left_out", "part_left_out")
_LOST_OPAQUE: tuple[RepairKind, ...] = ("opaque_left_out", "part_left_out", "message_left_out", "result_left_out")


@dataclass
class Call:
    """A tool call and what answered it."""

    name: str
    arguments: Any
    call_id: str
    place: int
    result: tuple[str, ...] | None = None
    """Its texts, without the space around each."""
    is_error: bool | None = None


@dataclass
class Meaning:
    """What messages say. Places count the messages of the user and of the model, to compare orders by."""

    texts: list[tuple[str, int, str]] = field(default_factory=list)
    """Role, place, and text without the space around it."""
    calls: list[Call] = field(default_factory=list)
    orphans: int = 0
    """Results that answer no call."""
    media: Counter[str] = field(default_factory=Counter)
    thoughts: int = 0
    opaque: int = 0


def meaning(messages: Iterable[Message]) -> Meaning:
    """What these messages say."""
    out = Meaning()
    for place, message in enumerate(messages):
        role = "system" if message.role == "developer" else message.role
        for part in message.parts:
            if isinstance(part, ToolResult):
                _answer(out, part)
            elif isinstance(part, ToolCall):
                out.calls.append(Call(part.name, _value(part.arguments), part.call_id, place))
            elif isinstance(part, TextPart):
                if part.text.strip():
                    out.texts.append((role, place, part.text.strip()))
            else:
                _beside(out, part)
    return out


def _beside(out: Meaning, part: Any) -> None:
    if isinstance(part, MEDIA):
        out.media[_medium(part)] += 1
    elif isinstance(part, ThinkingPart):
        out.thoughts += 1
    elif isinstance(part, Opaque):
        out.opaque += 1


def _medium(part: ImagePart | AudioPart | FilePart) -> str:
    """Where the bytes are; kinds differ from wire to wire (a PDF may be a file or a document)."""
    return part.data or part.url or part.file_id or part.blob or ""


def _value(arguments: str) -> Any:
    """Arguments as a JSON value; none are an empty object, and what is no JSON is itself."""
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _answer(out: Meaning, result: ToolResult) -> None:
    """Give a result to its call: the newest with its id that waits; without an id the first of its name that waits."""
    waiting = [call for call in out.calls if call.result is None]
    if result.call_id:
        found = [call for call in waiting if call.call_id == result.call_id][-1:]
    else:
        last = max((call.place for call in waiting), default=-1)
        here = [call for call in waiting if call.place == last]
        found = [call for call in here if result.name in (None, "", call.name)][:1]
    said = tuple(part.text.strip() for part in result.parts if isinstance(part, TextPart))
    for part in result.parts:
        _beside(out, part)
    if not found:
        out.orphans += 1
        return
    found[0].result = said
    found[0].is_error = result.is_error


def unexplained(before: Sequence[Message], rendered: Rendered, after: Sequence[Message]) -> list[str]:
    """What the messages said, and the payload does not say, and no repair explains. `after` is the payload, parsed."""
    was, now = meaning(before), meaning(after)
    kinds: Counter[str] = Counter(repair.kind for repair in rendered.repairs)
    return [
        *_texts(was, now, kinds),
        *_calls(was, now, rendered.call_ids, kinds),
        *_short("media", sum((was.media - now.media).values()), kinds, _LOST_MEDIA),
        *_short("thoughts", was.thoughts - now.thoughts, kinds, _LOST_THOUGHT, at_least_one=True),
        *_short("opaque parts", was.opaque - now.opaque, kinds, _LOST_OPAQUE, at_least_one=True),
    ]


def _short(
    what: str, missing: int, kinds: Mapping[str, int], allowed: Sequence[str], *, at_least_one: bool = False
) -> list[str]:
    """A complaint where more is missing than repairs say; several things of one message may share a repair."""
    listed = sum(kinds[kind] for kind in allowed)
    if missing <= 0 or listed >= (1 if at_least_one else missing):
        return []
    return [f"{missing} {what} are missing, and {listed} repairs could be about them ({dict(kinds)})"]


def _texts(was: Meaning, now: Meaning, kinds: Mapping[str, int]) -> list[str]:
    """Each text is found in its role, in order; a wire may glue texts, or give a role its messages differently."""
    found: list[str] = []
    places: list[int] = []
    streams = {
        role: _Stream([text for text in now.texts if text[0] == role]) for role in ("system", "user", "assistant")
    }
    anywhere = _Stream(now.texts)
    lost = 0
    for role, _, text in was.texts:
        place = streams[role].find(text) if role in streams else None
        if place is None:
            lost += 1
            if anywhere.find(text) is None and not sum(kinds[kind] for kind in _CHANGED_TEXT if kind != "role_changed"):
                found.append(f"the {role}'s {text[:60]!r} is gone, and no repair says so ({dict(kinds)})")
        elif role != "system":
            places.append(place)
    found.extend(_short("texts in their roles", lost, kinds, _CHANGED_TEXT, at_least_one=True))
    if places != sorted(places):
        found.append(f"texts are in another order: {places}")
    return found


class _Stream:
    """Texts to be found one after another; one may hold several that are looked for."""

    def __init__(self, texts: Sequence[tuple[str, int, str]]) -> None:
        self._texts = texts
        self._index = 0
        self._from = 0

    def find(self, text: str) -> int | None:
        """The place of the message that has it, behind what was found before."""
        begin = self._from
        for index in range(self._index, len(self._texts)):
            at = self._texts[index][2].find(text, begin)
            if at >= 0:
                self._index, self._from = index, at + len(text)
                return self._texts[index][1]
            begin = 0
        return None


def _calls(was: Meaning, now: Meaning, call_ids: Mapping[str, str], kinds: Mapping[str, int]) -> list[str]:
    lost = len(was.calls) - len(now.calls)
    if lost:
        return _short("calls", abs(lost), kinds, _LOST_CALL)
    found: list[str] = []
    for old, new in zip(was.calls, now.calls, strict=True):
        found.extend(f"{old.call_id!r}: {fault}" for fault in _call(old, new, call_ids, kinds))
    if now.orphans:
        found.append(f"{now.orphans} results answer no call")
    return found + _short("orphan results", was.orphans - now.orphans, kinds, _LOST_RESULT)


def _call(old: Call, new: Call, call_ids: Mapping[str, str], kinds: Mapping[str, int]) -> list[str]:
    found: list[str] = []
    if old.name != new.name and not kinds["name_changed"] + kinds["name_missing"]:
        found.append(f"the name became {new.name!r}")
    if (
        json.dumps(old.arguments, sort_keys=True) != json.dumps(new.arguments, sort_keys=True)
        and not (kinds["arguments_changed"])
    ):
        found.append(f"the arguments {old.arguments!r:.80} became {new.arguments!r:.80}")
    if call_ids.get(new.call_id, new.call_id) != old.call_id and not kinds["call_id_made_unique"]:
        found.append(f"its id is {new.call_id!r}, and call_ids makes {call_ids.get(new.call_id)!r} of it")
    if old.result is None:
        if new.result is not None and not kinds["interrupted"]:
            found.append(f"it got a result, {new.result!r:.80}")
    elif new.result is None:
        found.append("its result is gone")
    elif not _within(old.result, "\n".join(new.result)) and not kinds["text_changed"]:
        found.append(f"the result {old.result!r:.100} became {new.result!r:.100}")
    if old.is_error and not new.is_error and not _says_error(new) and not kinds["text_changed"]:
        found.append("nothing says that its result is an error")
    return found


def _says_error(call: Call) -> bool:
    """Whether a model that sees no more than the text knows that the call failed."""
    said = "".join(call.result or ()).casefold()
    return "error" in said or "interrupted" in said


def _within(texts: Iterable[str], said: str) -> bool:
    """Whether these texts are in what is said, one after another."""
    begin = 0
    for text in texts:
        at = said.find(text, begin)
        if at < 0:
            return False
        begin = at + len(text)
    return True
