"""How the service reads contents: those of one side in a row are one turn, and a turn of calls is answered by the next.

Total on any JSON, as `check` is: what is no content or no part has nothing in it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from palaver.formats.google.keys import BASE64, SIGNATURE, SNAKE
from palaver.formats.google.waiting import Waiting
from palaver.formats.wire import is_array, is_object

__all__ = ["Piece", "Turn", "answer_in", "call_in", "is_model", "pair", "signature_fits", "turns"]


class Piece(NamedTuple):
    """A call or an answer, and where it stands."""

    content: int
    part: int
    inner: dict[str, Any]

    @property
    def name(self) -> str:
        """Its function, "" where it has none."""
        name = self.inner.get("name")
        return name if isinstance(name, str) else ""

    @property
    def id(self) -> str:
        """Its id, "" where it has none."""
        found = self.inner.get("id")
        return found if isinstance(found, str) else ""


class Turn:
    """Contents of one side in a row."""

    __slots__ = ("answers", "calls", "contents", "model")

    def __init__(self, *, model: bool) -> None:
        self.model = model
        self.contents: list[int] = []
        self.calls: list[Piece] = []
        self.answers: list[Piece] = []


def is_model(content: Any) -> bool:
    """Whether a content is the model's."""
    return is_object(content) and content.get("role") == "model"


def call_in(part: Any) -> Any:
    """The functionCall of a part; None where it has none."""
    if not is_object(part):
        return None
    found = part.get("functionCall")
    return part.get("function_call") if found is None else found


def answer_in(part: Any) -> Any:
    """The functionResponse of a part; None where it has none."""
    if not is_object(part):
        return None
    found = part.get("functionResponse")
    return part.get("function_response") if found is None else found


def turns(contents: Iterable[Any]) -> Iterator[Turn]:
    """The turns of a payload. Calls of the user and answers of the model are no calls and no answers."""
    turn: Turn | None = None
    for index, content in enumerate(contents):
        model = is_model(content)
        if turn is None or turn.model != model:
            if turn is not None:
                yield turn
            turn = Turn(model=model)
        turn.contents.append(index)
        parts = content.get("parts") if is_object(content) else None
        if not is_array(parts):
            continue
        for place, part in enumerate(parts):
            if is_object(part) and len(part) == 1 and "text" in part:
                continue
            inner = call_in(part) if model else answer_in(part)
            if inner is not None:
                piece = Piece(index, place, inner if is_object(inner) else {})
                (turn.calls if model else turn.answers).append(piece)
    if turn is not None:
        yield turn


def pair(calls: list[Piece], answers: list[Piece]) -> list[int | None]:
    """For each answer, which call it answers: the one with its id, else the next of its name, else the next at all.

    An answer without an id, or to a call without one, is told by its name. None: there is no call left for it.
    """
    waiting = Waiting()
    for call in calls:
        waiting.add(call.id, call.name)
    out: list[int | None] = [None] * len(answers)
    for take in (_of_id, _of_name_without_id, _of_name, _without_id, _any):
        for number, answer in enumerate(answers):
            if not waiting.count:
                return out
            if out[number] is None:
                out[number] = take(waiting, answer)
    return out


def _of_id(waiting: Waiting, answer: Piece) -> int | None:
    return waiting.take_id(answer.id) if answer.id else None


def _of_name_without_id(waiting: Waiting, answer: Piece) -> int | None:
    return waiting.take_name(answer.name, loose=True)


def _of_name(waiting: Waiting, answer: Piece) -> int | None:
    return None if answer.id else waiting.take_name(answer.name, loose=False)


def _without_id(waiting: Waiting, _answer: Piece) -> int | None:
    return waiting.take_any(loose=True)


def _any(waiting: Waiting, _answer: Piece) -> int | None:
    return waiting.take_any(loose=False)


def signature_fits(part: dict[str, Any]) -> bool:
    """Whether a part has no signature, or one that is base64 text in either alphabet, as the service wants it."""
    return all(
        signature is None or (isinstance(signature, str) and BASE64.fullmatch(signature) is not None)
        for signature in (part.get(SIGNATURE), part.get(SNAKE[SIGNATURE]))
    )
