"""Every history that a provider accepted comes back exactly, out of a real store, and no rule of ours objects to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import formats
from palaver.model import Message
from tests.corpus.histories import HISTORIES, History
from tests.corpus.legality import summary
from tests.corpus.payloads import Figure, Payload, exceptions, own, recorded, text

WIRES = formats.wires()


def stored(directory: Path, histories: Sequence[Sequence[Message]]) -> list[list[Message]]:
    """The histories as a SQLite store gives them back after it was closed, each from a session of its own."""
    url = f"sqlite:///{directory / 'store'}"
    with palaver.open(url) as sessions:
        ids: list[str] = []
        for number, history in enumerate(histories):
            session = sessions.create(f"corpus:{number}")
            if history:
                session.append(*history)
            ids.append(session.id)
    with palaver.open(url) as sessions:
        return [list(sessions.get(session_id).messages(limit=1000)) for session_id in ids]


def changed(payload: Payload, messages: Sequence[Message]) -> str | None:
    """What is not as it was in the payload of these messages; None where it is the same, byte for byte."""
    rendered = formats.render(payload.wire, messages)
    kinds = sorted({repair.kind for repair in rendered.repairs})
    if not same_messages(payload, rendered.messages):
        return f"{payload.id}: the messages changed, with repairs {kinds}"
    if text(rendered.system) != text(payload.system) and not said_among_messages(payload, rendered.system):
        return f"{payload.id}: the system prompt changed, with repairs {kinds}"
    return f"{payload.id}: it came back, and yet there are repairs {kinds}" if kinds else None


def same_messages(payload: Payload, messages: Any) -> bool:
    """Whether these are the messages of the payload; a bare text is the one message that it stands for."""
    if text(messages) == text(payload.messages):
        return True
    return isinstance(payload.messages, str) and text(messages) in (text(payload.entries), text([payload.messages]))


def said_among_messages(payload: Payload, system: Any) -> bool:
    """Whether both are no system prompt, however that is spelled: nothing, or an empty list."""
    return not payload.system and not system


def all_changes(payloads: Sequence[Payload], directory: Path) -> list[str]:
    """What is not as it was in any of these payloads."""
    back = stored(directory, [payload.parsed() for payload in payloads])
    found = [changed(payload, messages) for payload, messages in zip(payloads, back, strict=True)]
    return [each for each in found if each is not None]


@pytest.mark.parametrize("wire", WIRES)
def test_our_own_histories_come_back_exactly(wire: str, tmp_path: Path) -> None:
    """Parse, store, close, load, render: equal, with the repairs switched on, and there are none."""
    assert own(wire), f"there is no history of our own for {wire}: write some in tests/corpus/sessions.py"
    found = all_changes(own(wire), tmp_path)
    assert not found, summary(found)


@pytest.mark.parametrize("wire", WIRES)
def test_recorded_histories_come_back_exactly(
    wire: str, shared_dir: Path, tmp_path: Path, record_property: Figure
) -> None:
    """All but the exceptions that docs/wires/README.md lists with their reasons."""
    payloads = recorded(shared_dir, wire)
    listed = exceptions("Histories that do not come back exactly")
    found = all_changes(payloads, tmp_path)
    record_property(
        "figure", f"{wire}: {len(payloads) - len(found)} of {len(payloads)} recorded histories came back exactly"
    )
    unlisted = [each for each in found if (wire, each.split(":")[0]) not in listed]
    assert not unlisted, summary(unlisted)
    assert len(listed) <= 5


@pytest.mark.parametrize("wire", WIRES)
def test_recorded_answers_come_back_exactly(wire: str, shared_dir: Path, record_property: Figure) -> None:
    """An answer alone is no legal history: it is rendered without repairs."""
    listed = exceptions("Histories that do not come back exactly")
    count = 0
    found: list[str] = []
    for payload in recorded(shared_dir, wire):
        if payload.response is None:
            continue
        count += 1
        rendered = formats.render(wire, formats.parse(wire, payload.response), repair=False)
        if text(rendered.messages) != text(payload.response) and (wire, payload.id) not in listed:
            found.append(payload.id)
    record_property("figure", f"{wire}: {count - len(found)} of {count} recorded answers came back exactly")
    assert not found, summary(found)


@pytest.mark.parametrize(
    "history", [each for each in HISTORIES if each.wire in WIRES], ids=lambda h: f"{h.wire}-{h.shape}"
)
def test_odd_shapes_come_back_and_are_mended(history: History) -> None:
    """Single messages of every shape, not all of them legal: without repairs as they came, and with them legal."""
    messages = formats.parse(history.wire, history.messages, system=history.system)
    rendered = formats.render(history.wire, messages, repair=False)
    payload = Payload(history.wire, history.shape, history.messages, history.system)
    assert same_messages(payload, rendered.messages)
    assert text(rendered.system) == text(history.system)
    for wire in WIRES:
        mended = formats.render(wire, messages)
        assert not mended.messages or formats.check(wire, mended.messages, system=mended.system) == [], wire


def objections(payloads: Sequence[Payload]) -> list[str]:
    """What our rules say against histories that were accepted."""
    return [
        f"{payload.id}: {violation.rule} at {violation.where}: {violation.says}"
        for payload in payloads
        for violation in formats.check(payload.wire, payload.messages, system=payload.system)
    ]


@pytest.mark.parametrize("wire", WIRES)
def test_no_rule_objects_to_our_own_histories(wire: str) -> None:
    """What every provider takes breaks no rule."""
    found = objections(own(wire))
    assert not found, summary(found)


@pytest.mark.parametrize("wire", WIRES)
def test_no_rule_objects_to_what_was_accepted(wire: str, shared_dir: Path) -> None:
    """A rule that fires on a recorded history is wrong, or belongs to one provider; exceptions are listed."""
    listed = exceptions("Accepted histories that a rule objects to")
    found = objections(recorded(shared_dir, wire))
    unlisted = [each for each in found if (wire, each.split(":")[0]) not in listed]
    assert not unlisted, summary(unlisted)
