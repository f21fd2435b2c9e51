"""What a provider refuses for its structure is flagged, and mended without giving up what was legal in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import palaver
from palaver import formats
from palaver.errors import InvalidMessage
from palaver.model import Message
from tests.corpus.legality import faults
from tests.corpus.payloads import Figure, Payload, rejected, text
from tests.corpus.rejected_cases import CASES, Case

WIRES = formats.wires()
KNOWN = [case for case in CASES if case.wire in WIRES]


def name(case: Case) -> str:
    """What a test of this case is called."""
    return f"{case.rules[0]}: {case.what}"


def messages_of(case: Case) -> list[Message]:
    """The case parsed; what is no message of the wire at all is left out, as a caller would who is told."""
    try:
        return formats.parse(case.wire, case.messages, system=case.system)
    except InvalidMessage:
        out: list[Message] = []
        for entry in case.messages:
            try:
                out.extend(formats.parse(case.wire, [entry]))
            except InvalidMessage:
                continue
        return out


@pytest.mark.parametrize("case", KNOWN, ids=name)
def test_a_broken_rule_is_flagged(case: Case) -> None:
    """By the rule that the provider enforces, with a place, its words, and a remedy."""
    found = formats.check(case.wire, case.messages, system=case.system)
    assert {violation.rule for violation in found} & set(case.rules), [violation.rule for violation in found]
    assert all(violation.where and violation.says and violation.remedy for violation in found)


@pytest.mark.parametrize("case", KNOWN, ids=name)
def test_a_broken_history_is_mended(case: Case) -> None:
    """It is legal after parse and render, each change is listed, and what was legal is still said."""
    rendered = formats.render(case.wire, messages_of(case), repair=True)
    assert faults(case.wire, rendered) == []
    said = text([rendered.messages, rendered.system])
    for entry in case.messages:
        for kept in _kept(text(entry)):
            assert kept in said, rendered.repairs
    assert rendered.repairs or len(messages_of(case)) < len(case.messages)


def _kept(entry: str) -> list[str]:
    """What begins with "keep" in the JSON of a message."""
    return ["keep" + each.split('"')[0].rstrip() for each in entry.split('"keep')[1:]]


@pytest.mark.parametrize("case", KNOWN, ids=name)
def test_a_broken_history_is_kept_as_it_came(case: Case) -> None:
    """Without repairs it comes back as it was: a store is no censor. Or parsing says what is no message."""
    try:
        messages = formats.parse(case.wire, case.messages, system=case.system)
    except InvalidMessage as exc:
        assert "messages[" in str(exc)  # noqa: PT017  # what else it may be is tested below
        return
    assert text(formats.render(case.wire, messages, repair=False).messages) == text(case.messages)


@pytest.mark.parametrize("wire", WIRES)
def test_a_request_without_messages_is_none(wire: str) -> None:
    """No provider takes one: it is flagged, and with instructions alone there is still something to answer."""
    assert formats.check(wire, []) != []
    for messages in ([], [palaver.system("Be brief.")]):
        rendered = formats.render(wire, messages)
        assert rendered.messages
        assert faults(wire, rendered) == []


def test_each_wire_has_cases() -> None:
    """Every wire that is known has rules here."""
    assert {case.wire for case in CASES} >= set(WIRES)


def test_recorded_rejections(shared_dir: Path, record_property: Figure) -> None:
    """Structural ones are flagged and mended; a model's missing capability is no fault of the structure."""
    wrong: list[str] = []
    known = [payload for payload in rejected(shared_dir) if payload.wire in WIRES]
    structural = [payload for payload in known if payload.reason != "capability"]
    for payload in known:
        wrong.extend(f"{payload.id}: {each}" for each in _wrong(payload))
    record_property("figure", f"{len(known)} recorded rejections, {len(structural)} of them structural")
    assert not wrong, "\n".join(wrong)


def _wrong(payload: Payload) -> list[str]:
    found = formats.check(payload.wire, payload.messages, system=payload.system)
    rendered = formats.render(payload.wire, payload.parsed())
    left = faults(payload.wire, rendered)
    if payload.reason == "capability":
        kept = text(rendered.messages) == text(payload.messages)
        return [*left, *(violation.rule for violation in found), *([] if kept else ["it was changed"])]
    return left if found else [*left, "no rule objects"]
