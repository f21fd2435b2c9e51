"""How the service reads contents: those of one side in a row are one turn, and a turn of calls is answered by the next.

Total on any JSON, as `check` is: what is no content or no part has nothing in it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from palaver.formats.google.keys import BASE64, SIGNATURE, SNAKE
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
    out: list[int | None] = [None] * len(answers)
    free = dict.fromkeys(range(len(calls)))
    for test in (_same_id, _same_name_no_id, _same_name, _any_no_id, _any):
        for number, answer in enumerate(answers):
            if out[number] is None and free:
                found = next((index for index in free if test(calls[index], answer)), None)
                if found is not None:
                    del free[found]
                    out[number] = found
    return out


def _same_id(call: Piece, answer: Piece) -> bool:
    return bool(call.id) and call.id == answer.id


def _same_name_no_id(call: Piece, answer: Piece) -> bool:
    return call.name == answer.name and not call.id


def _same_name(call: Piece, answer: Piece) -> bool:
    return call.name == answer.name and not answer.id


def _any_no_id(call: Piece, _answer: Piece) -> bool:
    return not call.id


def _any(_call: Piece, _answer: Piece) -> bool:
    return True


def signature_fits(part: dict[str, Any]) -> bool:
    """Whether a part has no signature, or one that is base64 text in either alphabet, as the service wants it."""
    return all(
        signature is None or (isinstance(signature, str) and BASE64.fullmatch(signature) is not None)
        for signature in (part.get(SIGNATURE), part.get(SNAKE[SIGNATURE]))
    )
