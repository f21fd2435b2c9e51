"""A payload that breaks a rule, mended where it breaks it; each change is noted.

Runs only where `check` finds something, so that what a provider took is never touched. What is missing is made up in
the same words every time, so that prompt caches hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from palaver.exchanges import INTERRUPTED
from palaver.formats.google.keys import SIGNATURE, SNAKE, signature_of
from palaver.formats.google.parts import DATA, data_keys, is_blank
from palaver.formats.google.quick import is_sound
from palaver.formats.google.rules import BESIDE, ROLES, check
from palaver.formats.google.turns import Piece, Turn, call_in, pair, signature_fits, turns
from palaver.formats.wire import CONTINUE, Notes, RepairKind, is_array, is_object

__all__ = ["PLACEHOLDER", "Source", "mend"]

PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Base64 of `skip_thought_signature_validator`, which Gemini 3 takes for the signature of a call that it did not make
(https://ai.google.dev/gemini-api/docs/thought-signatures#faqs, https://github.com/jeremychone/rust-genai/pull/115)."""

UNKNOWN = "unknown"
"""Name of a function that has none."""


class Source(NamedTuple):
    """The message that a content was made from."""

    place: int
    seq: int


def mend(contents: list[Any], sources: list[Source], notes: Notes) -> list[Any]:
    """The contents without what `check` finds in them."""
    if is_sound(contents) or not check(contents, None):
        return contents
    mending = _Mending(contents, sources, notes)
    mending.clean()
    mending.match()
    mending.frame()
    return mending.contents


class _Mending:
    def __init__(self, contents: list[Any], sources: list[Source], notes: Notes) -> None:
        self.contents = contents
        self._sources = sources
        self._notes = notes

    def _note(self, kind: RepairKind, index: int, detail: str) -> None:
        source = self._sources[index] if index < len(self._sources) else Source(0, 0)
        self._notes.about(kind, source.seq, f"messages[{source.place}]: {detail}")

    def _keep(self, contents: list[tuple[Any, Source]]) -> None:
        self.contents = [content for content, _ in contents]
        self._sources = [source for _, source in contents]

    # -- contents and parts, one by one

    def clean(self) -> None:
        """Roles that exist, parts that hold one thing each, calls and answers that are well formed."""
        out: list[tuple[Any, Source]] = []
        for index, content in enumerate(self.contents):
            role = content.get("role")
            if not (role is None or isinstance(role, str)) or role not in ROLES:
                self._note("role_changed", index, f"the role {role!r} became 'user'")
                content["role"] = "user"
            given = content.get("parts")
            parts: list[Any] = []
            for part in given if is_array(given) else []:
                parts.extend(self._part(part, index, model=role == "model"))
            if not parts:
                self._note("message_left_out", index, "it has no parts")
                continue
            if is_blank(parts):
                self._note("message_left_out", index, "it says nothing")
                continue
            content["parts"] = parts
            out.append((content, self._sources[index]))
        self._keep(out)

    def _part(self, part: Any, index: int, *, model: bool) -> list[dict[str, Any]]:
        if isinstance(part, str) and part:
            self._note("text_changed", index, "a bare text became a part")
            return [{"text": part}]
        if not is_object(part):
            self._note("part_left_out", index, "a part is no object")
            return []
        if not signature_fits(part):
            self._sign(part, index)
        data = data_keys(part)
        if len(data) > 1:
            self._note("split", index, f"{' and '.join(data)} of one part became parts of their own")
            signed = next((key for key in data if DATA[key] == "functionCall"), data[0])
            beside = {key: value for key, value in part.items() if key not in DATA}
            pieces = [{key: part[key], **(beside if key == signed else {})} for key in data]
            return [found for piece in pieces for found in self._part(piece, index, model=model)]
        if not data:
            if signature_of(part) is None and BESIDE.issuperset(part):
                self._note("part_left_out", index, "a part holds nothing")
                return []
            return [part]
        key, camel = data[0], DATA[data[0]]
        value = part[key]
        if not (isinstance(value, str) if camel == "text" else is_object(value)):
            self._note("part_left_out", index, f"{key} of a part is a {type(value).__name__}")
            return []
        if camel in ("functionCall", "functionResponse"):
            if model != (camel == "functionCall"):
                self._note("part_left_out", index, f"a {key} does not belong in a content of this role")
                return []
            self._function(value, index, call=model)
        return [part]

    def _sign(self, part: dict[str, Any], index: int) -> None:
        part.pop(SNAKE[SIGNATURE], None)
        part.pop(SIGNATURE, None)
        if call_in(part) is None:
            self._note("thinking_changed", index, "a signature is not base64 text; it was left out")
        else:
            part[SIGNATURE] = PLACEHOLDER
            self._note("signature_made", index, "the signature of a call is not base64 text; it got a placeholder")

    def _function(self, inner: dict[str, Any], index: int, *, call: bool) -> None:
        name = inner.get("name")
        if call and (not isinstance(name, str) or not name):
            self._note("name_missing", index, f"a call has no function name; it got {UNKNOWN!r}")
            inner["name"] = UNKNOWN
        key, wrapper = ("args", "arguments") if call else ("response", "output")
        if inner.get(key) is not None and not is_object(inner[key]):
            kind: RepairKind = "arguments_changed" if call else "text_changed"
            self._note(kind, index, f"{key} is no object; it stands in one, under {wrapper!r}")
            inner[key] = {wrapper: inner[key]}

    # -- calls and answers

    def match(self) -> None:
        """As many answers as calls, in the turn after them, under their names."""
        after: dict[int, list[Any]] = {}
        waiting: Turn | None = None
        for turn in list(turns(self.contents)):
            if turn.model:
                waiting = turn if turn.calls else None
            elif waiting is not None:
                self._answer(waiting, turn)
                waiting = None
            else:
                self._leave_out(turn.answers)
        if waiting is not None:
            last = waiting.contents[-1]
            after[last] = [self._interrupted(call) for call in waiting.calls]
        out: list[tuple[Any, Source]] = []
        for index, content in enumerate(self.contents):
            content["parts"] = [part for part in content["parts"] if part is not None]
            if is_blank(content["parts"]):  # an orphan stood beside it
                self._note("message_left_out", index, "nothing is left of it that says anything")
            elif content["parts"]:
                out.append((content, self._sources[index]))
            if index in after:
                out.append(({"role": "user", "parts": after[index]}, self._sources[index]))
        self._keep(out)

    def _leave_out(self, answers: list[Piece]) -> None:
        for answer in answers:
            self.contents[answer.content]["parts"][answer.part] = None
            self._note("result_left_out", answer.content, f"the result of {answer.name!r} answers no call")

    def _answer(self, waiting: Turn, turn: Turn) -> None:
        paired = pair(waiting.calls, turn.answers)
        self._leave_out([answer for answer, index in zip(turn.answers, paired, strict=True) if index is None])
        answers: list[Piece] = []
        for answer, index in zip(turn.answers, paired, strict=True):
            if index is not None:
                answers.append(answer)
                self._fit(answer, waiting.calls[index])
        found = set(paired)
        missing = [call for index, call in enumerate(waiting.calls) if index not in found]
        made = [self._interrupted(call) for call in missing]
        places = sorted({answer.content for answer in answers})
        first = turn.contents[0]
        astray = places != list(range(first, first + len(places)))
        if astray or (len(places) > 1 and any(self.contents[place].get("role") == "function" for place in places)):
            self._gather(answers, made, first)
        elif made:
            last = answers[-1] if answers else Piece(first, -1, {})
            self.contents[last.content]["parts"][last.part + 1 : last.part + 1] = made

    def _gather(self, answers: list[Piece], made: list[dict[str, Any]], first: int) -> None:
        """Put the answers of a turn together, before all else in it."""
        together: list[Any] = []
        for answer in answers:
            parts = self.contents[answer.content]["parts"]
            together.append(parts[answer.part])
            parts[answer.part] = None
            if answer.content != first:
                self._note("moved", answer.content, f"the result of {answer.name!r} stands right after the calls")
        self.contents[first]["parts"] = [*together, *made, *self.contents[first]["parts"]]

    def _fit(self, answer: Piece, call: Piece) -> None:
        if answer.name != call.name:
            if answer.name:
                self._note("name_changed", answer.content, f"the result of {answer.name!r} got its call's name")
            else:
                self._note("name_missing", answer.content, f"a result has no name; it got its call's, {call.name!r}")
            answer.inner["name"] = call.name
        if call.id and answer.id and call.id != answer.id:
            self._note("call_id_made", answer.content, f"the result {answer.id!r} got its call's id, {call.id!r}")
            answer.inner["id"] = call.id

    def _interrupted(self, call: Piece) -> dict[str, Any]:
        self._note("interrupted", call.content, f"the call of {call.name!r} has no result; it got one that says so")
        answer: dict[str, Any] = {"name": call.name, "response": {"error": INTERRUPTED}}
        return {"functionResponse": {**answer, "id": call.id} if call.id else answer}

    # -- the beginning and the end

    def frame(self) -> None:
        """A user who speaks first where the model calls, and who speaks at all."""
        user = {"role": "user", "parts": [{"text": CONTINUE}]}
        first = next(turns(self.contents), None)
        if first is None:
            self._note("user_added", 0, "nothing is left to send; the user says that it goes on")
            self.contents.append(user)
        elif first.model and first.calls:
            self._note("user_added", 0, "it begins with a call; the user speaks before it")
            self.contents.insert(0, user)
        elif first.model and len(self.contents) == 1:
            self._note("user_added", 0, "the model alone speaks; the user speaks after it")
            self.contents.append(user)
